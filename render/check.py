"""What `fresco validate` says of a repository: the findings for all its clusters, and what its comments silence. Pure,
but for reading what it is handed.

What was found once is known the next time (`Known`), so that a check costs what changed, and a look at each file.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence, Set
from hashlib import sha256
from typing import NamedTuple

from render import changes, compat, lockfile, parts, report, settings, silence
from render.document import REPOSITORY_FILE, Comment, Document, Loaded, LoadedFile, prefix
from render.files import Files, is_folder
from render.known import Known, KnownFile
from render.load import comments, is_yaml, load_file, unreadable
from render.memo import Memo
from render.normal import accept
from render.parts import Facts, Part, Where
from render.repository import CommitFiles, blob_id
from render.resource import REPOSITORY, SERVER
from schemas.lockfile import FILE_NAME as LOCK_FILE
from schemas.resources import RepositorySpec
from schemas.status import Finding

_GROUND = (REPOSITORY_FILE, LOCK_FILE)


class Checked(NamedTuple):
    """All findings, in order. `read`: how many files of Fresco's there are. `is_whole`: false where fresco.yaml is so
    wrong that nothing else was looked at. `known`: for the next check."""

    findings: tuple[Finding, ...]
    read: int
    is_whole: bool
    known: Known

    def among(self, paths: Iterable[str]) -> tuple[Finding, ...]:
        """Those with one of their places in a file or folder of `paths`; what keeps all from being checked always."""
        if not self.is_whole:
            return self.findings
        wanted = frozenset(paths)
        return tuple(one for one in self.findings if any(_is_below(file, wanted) for file in _files(one)))


def check(files: Files, committed: CommitFiles | None = None, known: Known | None = None) -> Checked:
    """Everything that is to be said of `files`, and of what they change in what is `committed`.

    `known` is what a check by the same version of Fresco left; without it everything is found anew, and the same comes
    of it.
    """
    contents = _Contents(files)
    spec = settings.of_file(contents.load(REPOSITORY_FILE))
    if not isinstance(spec, RepositorySpec):
        return Checked(tuple(report.in_order(spec)), 1, is_whole=False, known=Known())
    one = _Check(contents, spec, known if known is not None else Known())
    found = one.findings()
    changed = _of_change(contents, committed, spec) if committed is not None else []
    written = [path for path, file in one.files.items() if file.documents]
    said = silence.silenced(report.in_order([*found, *changed]), comments_in(contents.texts.__getitem__, written))
    return Checked(tuple(report.in_order(said)), len(one.files), is_whole=True, known=one.known())


class _Contents:
    """The files of a repository, read once."""

    def __init__(self, files: Files) -> None:
        self.texts: dict[str, bytes] = {}
        self._loaded: dict[str, LoadedFile] = {}
        for path in filter(is_yaml, files.paths()):
            try:
                self.texts[path] = files.read(path)
            except OSError as error:
                self._loaded[path] = unreadable(path, error)
        self.paths = sorted(self.texts.keys() | self._loaded.keys())
        self.blobs = {path: blob_id(content) for path, content in self.texts.items()}

    def load(self, path: str) -> LoadedFile | None:
        """One file, read as YAML when it is first asked for; None where it is not there."""
        if path not in self._loaded and path in self.texts:
            self._loaded[path] = load_file(path, self.texts[path])
        return self._loaded.get(path)


class _Check:
    """One look at a repository whose `fresco.yaml` is right."""

    def __init__(self, contents: _Contents, spec: RepositorySpec, before: Known) -> None:
        self._contents = contents
        self._spec = spec
        self._folders = [prefix(one.path) for one in spec.clusters]
        self._memo = Memo()
        self._digests = lockfile.read(contents.load(LOCK_FILE)).by_address
        self._ground = "".join(contents.blobs.get(path, "-") for path in _GROUND)
        self._before = before if before.ground == self._ground else Known()
        looked = {path: self._file(path) for path in contents.paths}
        self.files = {path: one for path, one in looked.items() if one.documents or one.findings}
        self._documents = {
            Where(path, number): one for path, file in self.files.items() for number, one in enumerate(file.documents)
        }
        self._servers = [where for where, one in self._documents.items() if one.kind == SERVER]
        self._servers_name = {flag: self._name_of(self._servers, with_lines=flag) for flag in (False, True)}
        self._clean: set[str] = set()
        self._found: dict[str, tuple[Finding, ...]] = {}
        self._memo.forget()

    def findings(self) -> set[Finding]:
        """All of them: what is known of the parts that are as they were, and what is found in the others."""
        fresh = [part for part in parts.split(self._documents, self._folders) if not self._is_known(part)]
        found = self._look(fresh).union(*self._found.values())
        for part, those in zip(fresh, self._by_part(fresh, found), strict=True):
            if those:
                self._found[self._name(part, with_lines=True)] = those
            else:
                self._clean.add(self._name(part))
        return found

    def known(self) -> Known:
        """What the next check may take from this one."""
        return Known(self._ground, self.files, self._clean, self._found)

    def _is_known(self, part: Part) -> bool:
        name = self._name(part)
        if name in self._before.clean:
            self._clean.add(name)
            return True
        name = self._name(part, with_lines=True)
        if name in self._before.found:
            self._found[name] = self._before.found[name]
            return True
        return False

    def _name(self, part: Part, *, with_lines: bool = False) -> str:
        """Equal where the texts are equal of all documents that a part depends on, and their lines, if asked for."""
        own = self._name_of(part.documents, with_lines=with_lines)
        return f"{own} {self._servers_name[with_lines]}" if part.is_homeless else own

    def _name_of(self, documents: Iterable[Where], *, with_lines: bool) -> str:
        lines = []
        for where in documents:
            one = self._documents[where]
            lines.append(f"{where.path}\n{one.text} {one.line if with_lines else ''}\n")
        return sha256("".join(lines).encode()).hexdigest()

    def _file(self, path: str) -> KnownFile:
        blob = self._contents.blobs.get(path, "")
        known = self._before.files.get(path)
        if known is not None and known.blob == blob != "":
            return known
        loaded = self._contents.load(path) or LoadedFile()
        return KnownFile(blob, tuple(map(self._facts, loaded.documents)), loaded.findings)

    def _facts(self, document: Document) -> Facts:
        if document.file == LOCK_FILE:
            return Facts(document.line, document.text)
        return parts.facts(document, compat.identified(document, self._spec.michelangelo, self._digests, self._memo))

    def _look(self, fresh: Sequence[Part]) -> set[Finding]:
        """Everything that is said of the documents of `fresh`, and of files as such."""
        looked = {where for part in fresh for where in part.documents}
        if any(part.is_homeless for part in fresh):
            looked.update(self._servers)
        loaded = Loaded.of({path: self._some_of(path, looked) for path in self.files})
        wanted = [accept(loaded, one.name, None, self._memo) for one in self._spec.clusters]
        return {finding for one in wanted for finding in report.of(one)}

    def _some_of(self, path: str, looked: Collection[Where]) -> LoadedFile:
        """A file with those of its documents that are looked at; those on which everything stands always are."""
        file = self.files[path]
        is_ground = path in _GROUND
        numbers = [
            number
            for number, one in enumerate(file.documents)
            if Where(path, number) in looked or (is_ground and one.kind in ("", REPOSITORY))
        ]
        loaded = self._contents.load(path) if numbers else None
        documents = tuple(loaded.documents[number] for number in numbers) if loaded is not None else ()
        return LoadedFile(documents, file.findings)

    def _by_part(self, fresh: Sequence[Part], found: Iterable[Finding]) -> list[tuple[Finding, ...]]:
        """For each of `fresh` those of `found` that stand in one of its documents."""
        by_document: dict[Where, list[Finding]] = defaultdict(list)
        for finding in found:
            by_document[self._where(finding)].append(finding)
        return [tuple(one for where in part.documents for one in by_document.get(where, ())) for part in fresh]

    def _where(self, finding: Finding) -> Where:
        """The document that a finding stands in."""
        documents = self.files[finding.file].documents if finding.file in self.files else ()
        return Where(finding.file, bisect_right(documents, finding.line, key=lambda one: one.line) - 1)


def _of_change(contents: _Contents, committed: CommitFiles, spec: RepositorySpec) -> list[Finding]:
    """What is odd about the change from what is `committed`, of which only the files that differ are read."""
    there = {path: blob for path, blob in committed.blobs.items() if is_yaml(path)}
    differing = [path for path in sorted({*there, *contents.paths}) if there.get(path) != contents.blobs.get(path)]
    before = {path: load_file(path, committed.read(path)) for path in differing if path in there}
    after = {path: file for path in differing if (file := contents.load(path)) is not None}
    sides = Loaded.of(before), Loaded.of(after)
    return [finding for one in spec.clusters for finding in changes.findings(*sides, one.path)]


def comments_in(read: Callable[[str], bytes], paths: Iterable[str]) -> dict[str, list[Comment]]:
    """The comments of those of the files `paths`, all of which can be read, in which one may silence something."""
    mark = silence.MARK.encode()
    return {path: comments(content) for path in paths if mark in (content := read(path))}


def _files(finding: Finding) -> tuple[str, ...]:
    return (finding.file,) if finding.other is None else (finding.file, finding.other.file)


def _is_below(file: str, paths: Set[str]) -> bool:
    """Whether `paths` has the file or a folder above it; the folder of everything is called `.`. A folder that cannot
    be listed is also about what is in it."""
    parts = file.split("/")
    if "." in paths or any("/".join(parts[:count]) in paths for count in range(1, len(parts) + 1)):
        return True
    return is_folder(file) and any(path.startswith(file) for path in paths)
