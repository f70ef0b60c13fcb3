"""Git repositories and working trees: the only module that knows pygit2. I/O: the file system and the network.

Reading gives files as (path, blob id, bytes). Writing is incremental: a commit costs what changed in it. Pushes are
fast-forward only and never forced; what came of one is a value, because over HTTP libgit2 reports a refusal in a
callback alone and raises nothing.
"""

import errno
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, Self

import pygit2
from pygit2.callbacks import RemoteCallbacks
from pygit2.enums import CredentialType, DeltaStatus, FetchPrune, FileMode

from render.errors import CloneUnwritable, NotFound, RemoteUnavailable

CONNECT_TIMEOUT_MS = 10_000
TRANSFER_TIMEOUT_MS = 60_000

_PUSH_REF = "refs/fresco/push"  # libgit2 pushes references, not bare commit ids
_LOST_RACE = (
    "non-fast-forward",
    "fetch first",
    "cannot lock ref",
    "incorrect old value provided",
    "reference already exists",
    "failed to update ref",
    # libgit2's own words, raised before anything is sent.
    "non-fastforwardable",
    "contains commits that are not present locally",
)
_DISK = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS))
_REGULAR = (FileMode.BLOB, FileMode.BLOB_EXECUTABLE)

_Nested = dict[str, "_Nested | bytes | None"]  # changes by path segment


class PushOutcome(StrEnum):
    """What came of a push. After `LOST_RACE` fetch and recompute; `REFUSED` is final until a person acts."""

    OK = "ok"
    LOST_RACE = "lost race"
    REFUSED = "refused"


class PushResult(NamedTuple):
    """The outcome, and the server's own words when it was not taken."""

    outcome: PushOutcome
    reason: str = ""


class Author(NamedTuple):
    """Who commits, and when: POSIX seconds, UTC."""

    name: str
    email: str
    time: int


class Credentials(NamedTuple):
    """What an HTTP(S) remote asks for. A token goes in as the password, with any user name the host expects."""

    username: str
    password: str


class CommitFiles:
    """The files of one commit, made or about to be."""

    def __init__(self, repository: "Repository", commit: str, folder: str = "") -> None:
        """`commit` is an id, as `Repository.resolve` and `Repository.staged` give it; `folder`: only what is in it, by
        its path there. Raises NotFound, also where git cannot read it."""
        self._repository = repository
        skipped = len(f"{folder}/") if folder else 0
        with _reading():
            self.blobs = {path[skipped:]: blob for path, blob in repository.files(commit, folder).items()}

    def paths(self) -> Iterable[str]:
        """All paths, sorted."""
        return self.blobs

    def read(self, path: str) -> bytes:
        """The content of one of `paths`. Raises NotFound where git cannot read it."""
        with _reading():
            return self._repository.read(self.blobs[path])


class WorkingTree:
    """The files of a directory as they lie on disk; inside a git repository, without what git ignores."""

    def __init__(self, root: Path) -> None:
        """Raises NotFound when `root` is no directory, or in a git repository that cannot be read."""
        if not root.is_dir():
            raise NotFound(f"{root} is not a directory")
        self._root = root
        self._git = _discover(root)
        with _reading():
            self._index = self._git.index if self._git is not None else None
        workdir = self._git.workdir if self._git is not None else None
        above = root.resolve().relative_to(Path(workdir).resolve()).as_posix() if workdir is not None else "."
        self._above = "" if above == "." else f"{above}/"
        self._real: dict[str, str] = {}
        self._unlisted: dict[str, OSError] = {}

    def paths(self) -> Iterable[str]:
        """All paths, sorted; of a folder that cannot be listed its own, with a `/` at the end."""
        self._unlisted = {}
        self._real = {shown(name): name for name in self._walk("")}
        return sorted([*self._real, *self._unlisted])

    def read(self, path: str) -> bytes:
        """The content of one of `paths`. Raises OSError when it has gone or may not be read, or is a folder."""
        if path in self._unlisted:
            raise self._unlisted[path]
        return self.real(path).read_bytes()

    def real(self, path: str) -> Path:
        """Where one of `paths` lies on disk. A name that is not Unicode, or that has control characters, is another."""
        return self._root / self._real.get(path, path)

    def _walk(self, folder: str) -> Iterator[str]:
        """The files below `folder`, which is empty or ends with a slash, by their names as the system has them."""
        try:
            children = self._children(folder)
        except OSError as error:
            if not folder:
                raise
            self._unlisted[shown(folder)] = error
            return
        for child in children:
            name = folder + child.name
            if child.is_dir():
                yield from self._walk(f"{name}/")
            elif child.is_file():
                yield name

    def _children(self, folder: str) -> list[os.DirEntry[str]]:
        """The files and folders in `folder` that count. Raises OSError."""
        with os.scandir(self._root / folder) as found:
            children = list(found)
        if folder and any(child.name == ".git" for child in children):
            return []  # a submodule's files are another repository's
        return [child for child in children if self._counts(child, folder + child.name)]

    def _counts(self, child: os.DirEntry[str], name: str) -> bool:
        return child.name != ".git" and not child.is_symlink() and not self._is_ignored(name)

    def _is_ignored(self, name: str) -> bool:
        """What git has it does not ignore; asked first, because it costs less."""
        if self._git is None or self._index is None:
            return False
        path = self._above + name
        if not _is_unicode(path):  # libgit2 is asked in UTF-8, so that no rule can name it
            return False
        return path not in self._index and self._git.path_is_ignored(path)


def shown(name: str) -> str:
    """The path that `Files` has for a file whose path the system has as `name`."""
    return _shown(os.fsencode(name))


def work_tree(path: Path) -> Path | None:
    """The top of the git work tree that `path` is in, None outside of one. Raises NotFound where git cannot tell."""
    found = _discover(path)
    return Path(found.workdir) if found is not None and found.workdir is not None else None


def git_folder(path: Path) -> Path | None:
    """Where git keeps what belongs to the work tree that `path` is in alone, None outside of one. Raises NotFound."""
    found = _discover(path)
    return Path(found.path) if found is not None and found.workdir is not None else None


def is_added(path: Path) -> bool:
    """Whether git's index has the file `path`, so that a commit takes it along; True where there is no work tree."""
    found = _discover(path.parent)
    if found is None or found.workdir is None:
        return True
    top = Path(found.workdir).resolve()
    return (path.parent.resolve() / path.name).relative_to(top).as_posix() in _index(found)


def _index(repository: pygit2.Repository) -> pygit2.Index:
    """What the next commit will hold. For one of some files alone git hands its hooks another index than the
    repository's, which it names in the environment."""
    named = os.environ.get("GIT_INDEX_FILE")
    with _reading():
        index = pygit2.Index(str(Path(repository.workdir) / named)) if named else repository.index
        index.read()
    return index


class Repository:
    """One git repository, bare or ordinary."""

    def __init__(self, repository: pygit2.Repository, credentials: Credentials | None = None) -> None:
        """Use `open` or `open_or_clone`."""
        self._git = repository
        self._credentials = credentials

    @classmethod
    def open(cls, path: Path) -> Self:
        """The repository at `path` or around it. Raises NotFound."""
        found = _discover(path)
        if found is None:
            raise NotFound(f"{path} is not in a git repository")
        return cls(found)

    @classmethod
    def open_or_clone(cls, path: Path, url: str, credentials: Credentials | None = None) -> Self:
        """The bare repository at `path`, made and filled from `url` when there is none.

        It has no configured remote: `url` is given with each call, so that changing it needs no clean-up. One process
        works in it at a time: what one that was killed has left there, half made or locked, is put in order.
        Raises RemoteUnavailable; what was begun is then finished by the next `fetch`. Raises CloneUnwritable.
        """
        pygit2.settings.server_connect_timeout = CONNECT_TIMEOUT_MS
        pygit2.settings.server_timeout = TRANSFER_TIMEOUT_MS
        is_new = not (path / "HEAD").exists()
        with _writing(path):
            _tidy(path)
            git = pygit2.init_repository(str(path), bare=True)  # of one that is there nothing changes
        repository = cls(git, credentials)
        if is_new:
            repository.fetch(url)
        return repository

    def fetch(self, url: str, refspecs: Sequence[str] = ("+refs/heads/*:refs/remotes/origin/*",)) -> None:
        """Brings the references in; branches that are gone at `url` go here too. Raises RemoteUnavailable, and
        CloneUnwritable where this side is at fault."""
        remote = self._git.remotes.create_anonymous(url)
        try:
            remote.fetch(list(refspecs), callbacks=_Callbacks(self._credentials), prune=FetchPrune.PRUNE)
        except (pygit2.GitError, OSError, ValueError) as error:
            if _is_of_the_disk(error):
                raise _unwritable(Path(self._git.path), error) from error
            raise RemoteUnavailable(f"cannot fetch from {url}: {error}") from error

    def resolve(self, revision: str) -> str | None:
        """The id of the commit that `revision` (a reference, id or any git expression) names, or None."""
        try:
            return str(self._git.revparse_single(revision).peel(pygit2.Commit).id)
        except (KeyError, ValueError, pygit2.GitError):
            return None

    def commit_named(self, revision: str) -> str:
        """As `resolve`. Raises NotFound."""
        found = self.resolve(revision)
        if found is None:
            raise NotFound(
                f"there is no revision {revision!r} in {self._git.workdir or self._git.path}: is it fetched?"
            )
        return found

    def staged(self) -> str:
        """The id of what the next commit will hold, as git's index has it: for whatever takes a commit and asks for its
        files alone. Raises NotFound where there is no work tree, and in the middle of a merge."""
        if self.is_bare:
            raise NotFound(f"there is no work tree to {self._git.path}, and so nothing is staged")
        index = _index(self._git)
        try:
            return str(index.write_tree(self._git))
        except pygit2.GitError as error:
            raise NotFound(f"{self._git.workdir}: what is staged is no commit yet: {error}") from error

    def merge_base(self, one: str, other: str) -> str | None:
        """The id of the last commit that both of two commits were made on top of, or None."""
        found: pygit2.Oid | None = self._git.merge_base(one, other)
        return str(found) if found is not None else None

    @property
    def is_bare(self) -> bool:
        """Whether it has no working tree."""
        return self._git.is_bare

    def folder(self, directory: Path) -> str:
        """The path of `directory` inside the working tree; nothing where it is its top, or where there is none."""
        if self.is_bare:
            return ""
        inside = directory.resolve().relative_to(Path(self._git.workdir).resolve()).as_posix()
        return inside if inside != "." else ""

    def files(self, commit: str, prefix: str = "") -> dict[str, str]:
        """Blob id by path, sorted, of all regular files of `commit`, made or `staged`, under the folder `prefix`.

        Costs one look at each folder. Links and submodules are left out.
        """
        root = self._tree(commit)
        folder = prefix.strip("/")
        tree = _lookup(root, folder) if folder else root
        if not isinstance(tree, pygit2.Tree):
            return {}
        found = dict(_flatten(tree, f"{folder}/" if folder else ""))
        return {path: found[path] for path in sorted(found)}

    def differences(self, before: str | None, after: str) -> dict[str, str | None]:
        """Blob id by path of the regular files of the commit `after` that `before` (None: nothing) has not, or has
        otherwise; None for files that are gone. Costs what differs: equal folders are not looked into."""
        tree = self._commit(after).tree
        diff = self._commit(before).tree.diff_to_tree(tree) if before is not None else tree.diff_to_tree(swap=True)
        found: dict[str, str | None] = {}
        for delta in diff.deltas:
            new = delta.new_file
            path = _shown(new.raw_path)
            if delta.status is not DeltaStatus.DELETED and new.mode in _REGULAR:
                found[path] = str(new.id)
            elif delta.old_file.mode in _REGULAR:
                found.setdefault(path, None)  # a link that has taken a file's place comes as two differences
        return found

    def read(self, blob: str) -> bytes:
        """The content of a blob. Raises NotFound."""
        found = self._object(blob)
        if not isinstance(found, pygit2.Blob):
            raise NotFound(f"no blob {blob} in {self._git.path}")
        return found.data

    def tree_of(self, commit: str) -> str:
        """The id of a commit's tree: equal for equal content."""
        return str(self._commit(commit).tree.id)

    def parents(self, commit: str) -> list[str]:
        """Ids of a commit's parents."""
        return [str(parent) for parent in self._commit(commit).parent_ids]

    def time_of(self, commit: str) -> int:
        """When a commit was made, POSIX seconds."""
        return self._commit(commit).commit_time

    def writers_of(self, commit: str) -> tuple[Author, Author]:
        """Author and committer."""
        found = self._commit(commit)
        author, committer = (Author(one.name, one.email, one.time) for one in (found.author, found.committer))
        return author, committer

    def line(self, tip: str, base: str | None = None) -> list[str]:
        """The commits from the first one, or from the one after `base`, to `tip`, oldest first; of a merge the first
        parent counts. Raises NotFound when `tip` was not made on top of `base`, or a shallow clone does not have them
        all."""
        found, commit = [], tip
        while commit != base:
            found.append(commit)
            parents = self.parents(commit)
            if not parents and self._is_cut_off(commit):
                raise NotFound(
                    f"what came before {commit} is not in this shallow clone: git fetch --unshallow, or ask for less"
                )
            if not parents and base is not None:
                raise NotFound(f"{tip} was not made on top of {base}")
            if not parents:
                break
            commit = parents[0]
        return found[::-1]

    def references(self, prefix: str) -> list[str]:
        """The full names of all references that begin with `prefix`, sorted."""
        return sorted(name for name in self._git.references if name.startswith(prefix))

    def has_remote(self, name: str) -> bool:
        """Whether a remote repository of this name is configured."""
        return name in self._git.remotes.names()

    def message_of(self, commit: str) -> str:
        """A commit's whole message."""
        return self._commit(commit).message

    def trailers_of(self, commit: str) -> dict[str, str]:
        """The trailers at the end of a commit's message, such as `Source-Commit`."""
        return dict(self._commit(commit).message_trailers)

    def is_ancestor(self, *, ancestor: str, commit: str) -> bool:
        """Whether `commit` is `ancestor` or was made on top of it."""
        return ancestor == commit or self._git.descendant_of(commit, ancestor)

    def write_tree(self, changes: Mapping[str, bytes | None], base: str | None) -> str:
        """Writes the tree `base` with `changes` (None deletes) and returns its id. Folders left empty go."""
        root = self._object(base) if base is not None else None
        written = self._merge(_nested(changes), root if isinstance(root, pygit2.Tree) else None)
        return str(written if written is not None else self._git.TreeBuilder().write())

    def commit(self, *, tree: str, parents: Sequence[str], message: str, author: Author) -> str:
        """Writes a commit object and returns its id. No reference moves."""
        signature = pygit2.Signature(author.name, author.email, author.time, 0)
        ids: list[pygit2.Oid | str] = [pygit2.Oid(hex=parent) for parent in parents]
        return str(self._git.create_commit(None, signature, signature, message, pygit2.Oid(hex=tree), ids))

    def commit_tree(self, parent: str | None, changes: Mapping[str, bytes | None], message: str, author: Author) -> str:
        """Commits `changes` on top of `parent` (None: the first commit of a branch) and returns the new commit's id.

        Returns `parent` itself when nothing differs from it: no change, no commit. Raises CloneUnwritable.
        """
        base = self.tree_of(parent) if parent is not None else None
        with _writing(Path(self._git.path)):
            tree = self.write_tree(changes, base)
            if parent is not None and tree == base:
                return parent
            return self.commit(tree=tree, parents=[parent] if parent else [], message=message, author=author)

    def set_reference(self, name: str, commit: str) -> None:
        """Lets the full reference `name` of this repository point to `commit`, whatever it pointed to. Raises
        CloneUnwritable."""
        with _writing(Path(self._git.path)):
            self._git.references.create(name, pygit2.Oid(hex=commit), force=True)

    def push(self, url: str, commit: str, reference: str) -> PushResult:
        """Pushes `commit` to the full `reference` (`refs/heads/…`) at `url`, fast-forward only.

        Raises RemoteUnavailable when no answer came, in which case the push may or may not have been taken. Raises
        CloneUnwritable.
        """
        self.set_reference(_PUSH_REF, commit)
        callbacks = _Callbacks(self._credentials)
        try:
            self._git.remotes.create_anonymous(url).push([f"{_PUSH_REF}:{reference}"], callbacks=callbacks)
        except (pygit2.GitError, OSError, ValueError) as error:
            if _is_lost_race(str(error)):
                return PushResult(PushOutcome.LOST_RACE, str(error))
            raise RemoteUnavailable(f"cannot push to {url}: {error}") from error
        return _result(callbacks.rejections, callbacks.said)

    def _commit(self, commit: str) -> pygit2.Commit:
        found = self._object(commit)
        if not isinstance(found, pygit2.Commit):
            raise NotFound(f"no commit {commit} in {self._git.path}")
        return found

    def _is_cut_off(self, commit: str) -> bool:
        """Whether a commit that seems to have no parent was made on top of one."""
        header, _, _ = self._commit(commit).read_raw().partition(b"\n\n")
        return self._git.is_shallow and b"\nparent " in header

    def _tree(self, name: str) -> pygit2.Tree:
        """The tree of that id, or of the commit of that id."""
        found = self._object(name)
        return found if isinstance(found, pygit2.Tree) else self._commit(name).tree

    def _object(self, name: str) -> object:
        try:
            return self._git[name]
        except (KeyError, ValueError):
            return None

    def _merge(self, changes: "_Nested", base: pygit2.Tree | None) -> pygit2.Oid | None:
        builder = self._git.TreeBuilder(base) if base is not None else self._git.TreeBuilder()
        for name, change in changes.items():
            written, mode = self._written(name, change, base)
            if written is not None:
                builder.insert(name, written, mode)
            elif base is not None and name in base:
                builder.remove(name)
        return builder.write() if len(builder) else None

    def _written(
        self, name: str, change: "_Nested | bytes | None", base: pygit2.Tree | None
    ) -> tuple[pygit2.Oid | None, FileMode]:
        if change is None:
            return None, FileMode.BLOB
        if isinstance(change, bytes):
            return self._git.create_blob(change), FileMode.BLOB
        below = base[name] if base is not None and name in base else None
        return self._merge(change, below if isinstance(below, pygit2.Tree) else None), FileMode.TREE


@contextmanager
def _writing(place: Path) -> Iterator[None]:
    """The block writes to the repository at `place`, and to nothing else."""
    try:
        yield
    except (pygit2.GitError, OSError) as error:
        raise _unwritable(place, error) from error


def _unwritable(place: Path, error: Exception) -> CloneUnwritable:
    reason = next((words for words in _DISK if words in str(error)), str(error))
    return CloneUnwritable(f"cannot write to {place}: {reason}")


def _tidy(path: Path) -> None:
    """Takes away locks and files that were not written to their end: libgit2 waits for no lock, it gives up."""
    left = [*path.glob("*.lock"), *(path / "refs").rglob("*.lock"), *(path / "objects").rglob("*_git2_*")]
    for one in left:
        one.unlink()


def _is_of_the_disk(error: Exception) -> bool:
    """libgit2 tells the two sides of a fetch apart in its words alone, which end with the system's."""
    return any(words in str(error) for words in _DISK)


def message(subject: str, body: str, trailers: Mapping[str, str]) -> str:
    """A commit message: subject, an empty line, body, an empty line, trailers. A value's line ends become spaces."""
    lines = "\n".join(f"{key}: {' '.join(value.split())}" for key, value in trailers.items())
    return "\n\n".join(part for part in (subject.strip(), body.strip(), lines) if part) + "\n"


def blob_id(content: bytes) -> str:
    """The id that `content` has as a blob, without writing it."""
    return str(pygit2.hash(content))


class _Callbacks(RemoteCallbacks):
    """Collects what the server says about each reference, and answers when it asks who we are."""

    def __init__(self, credentials: Credentials | None) -> None:
        super().__init__()
        self.rejections: list[str] = []
        self.said = ""  # by the server and its hooks, for people
        self._credentials = credentials
        self._asked = False

    def sideband_progress(self, string: str) -> None:
        self.said += string

    def push_update_reference(self, refname: str, message: str | None) -> None:
        if message is not None:
            self.rejections.append(message)

    def credentials(
        self, url: str, username_from_url: str | None, allowed_types: CredentialType
    ) -> pygit2.UserPass | pygit2.KeypairFromAgent:
        if allowed_types & CredentialType.SSH_KEY:
            return pygit2.KeypairFromAgent(username_from_url or "git")
        if self._credentials is None or self._asked:
            raise pygit2.GitError("the remote asks for credentials" + (" and refuses ours" if self._asked else ""))
        self._asked = True  # libgit2 asks again for ever when they are refused
        return pygit2.UserPass(*self._credentials)


def _result(rejections: Sequence[str], said: str) -> PushResult:
    if not rejections:
        return PushResult(PushOutcome.OK)
    reason = "; ".join(rejections)
    if _is_lost_race(reason):
        return PushResult(PushOutcome.LOST_RACE, reason)
    words = " ".join(said.split())
    return PushResult(PushOutcome.REFUSED, f"{reason}: {words}" if words else reason)


def _is_lost_race(reason: str) -> bool:
    return any(words in reason for words in _LOST_RACE)


def _nested(changes: Mapping[str, bytes | None]) -> "_Nested":
    nested: _Nested = {}
    for path, content in changes.items():
        *folders, name = path.split("/")
        level = nested
        for folder in folders:
            below = level.setdefault(folder, {})
            if not isinstance(below, dict):
                raise ValueError(f"both a file and a folder: {path!r}")
            level = below
        level[name] = content
    return nested


def _lookup(tree: pygit2.Tree, path: str) -> object:
    try:
        return tree[path]
    except KeyError:
        return None


def _flatten(tree: pygit2.Tree, prefix: str) -> Iterator[tuple[str, str]]:
    for entry in tree:
        path = prefix + _shown(entry.raw_name or b"")
        if isinstance(entry, pygit2.Tree):
            yield from _flatten(entry, f"{path}/")
        elif entry.filemode in _REGULAR:
            yield path, str(entry.id)


def _is_unicode(name: str) -> bool:
    """Whether the system's name of a file is text, and not bytes in disguise."""
    return not any("\udc80" <= one <= "\udcff" for one in name)


def _shown(name: bytes) -> str:
    """A file's name as it can be printed on one line, whatever bytes are in it. No two names look the same."""
    text = name.replace(b"\\", rb"\\").decode("utf-8", "backslashreplace")
    return text if text.isprintable() else "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


@contextmanager
def _reading() -> Iterator[None]:
    """Raises NotFound where git cannot read what it has itself: it is damaged, or the system withholds it."""
    try:
        yield
    except pygit2.GitError as error:
        raise NotFound(f"git cannot read this repository: {error}") from error


def _discover(path: Path) -> pygit2.Repository | None:
    try:
        found: str | None = pygit2.discover_repository(str(path))
        return pygit2.Repository(found) if found is not None else None
    except KeyError:
        return None
    except (pygit2.GitError, ValueError) as error:
        hint = f"; if you trust it: git config --global --add safe.directory {path.absolute()}"
        raise NotFound(
            f"{path}: git cannot open this repository: {error}{hint if 'owned' in str(error) else ''}"
        ) from error
