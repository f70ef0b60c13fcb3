"""`fresco diff`: what a change will do, before it is merged. I/O: a repository, the working tree, standard output."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from render import branches, report, resolve, settings, silence
from render.branch_files import BranchFiles
from render.check import comments_in
from render.diff.change import cluster_change
from render.diff.markdown import markdown
from render.diff.outcome import Sides, nothing
from render.diff.text import text
from render.document import Comment, Loaded
from render.errors import ExitCode, InvalidRepository, NotFound
from render.forms.as_json import encoded
from render.memo import Memo
from render.normal import Wanted, accept
from render.repository import CommitFiles, Repository, WorkingTree
from render.root import root_of
from render.settled import settled
from render.sides import load_both
from schemas.change import Change, ClusterChange
from schemas.resources import Cluster, RepositorySpec
from schemas.status import Tree

EXAMPLES = """\
examples:
  fresco diff                              # what the working tree changes since it left main
  fresco diff main~1 main --cluster prod   # what the last commit has changed in one cluster
  fresco diff --format markdown            # for a comment on a pull request
  fresco diff --objects                    # with each Kubernetes object's own diff
"""

Comments = Mapping[str, Sequence[Comment]]

_MAINS = ("refs/remotes/origin/HEAD", "refs/remotes/origin/main", "refs/heads/main", "@{upstream}")
_SHORT = 10  # digits of a commit's id


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """As every command."""
    parser.add_argument("base", nargs="?", metavar="BASE", help="a commit (default: where HEAD left main)")
    parser.add_argument("head", nargs="?", metavar="HEAD", help="a commit (default: the working tree)")
    parser.add_argument("--cluster", help="one of fresco.yaml's clusters (default: all of them)")
    parser.add_argument("--format", choices=("text", "json", "markdown"), default="text", help="(default: text)")
    parser.add_argument("--objects", action="store_true", help="each Kubernetes object's own diff")
    parser.add_argument("-C", dest="directory", type=Path, metavar="DIR", help="the repository's root")


def run(options: argparse.Namespace) -> ExitCode:
    """As every command."""
    change = _change(options)
    if options.format == "json":
        sys.stdout.write(encoded(msgspec.to_builtins(change)))
    elif options.format == "markdown":
        sys.stdout.write(markdown(change))
    else:
        sys.stdout.write(text(change, color=sys.stdout.isatty() and not os.environ.get("NO_COLOR")))
    findings = [*change.findings, *(one for cluster in change.clusters for one in cluster.findings)]
    return ExitCode.FINDINGS if report.has_errors(findings) else ExitCode.FINE


def _change(options: argparse.Namespace) -> Change:
    directory = options.directory if options.directory is not None else root_of(Path())
    repository = Repository.open(directory)
    if repository.is_bare and not options.head:
        raise NotFound(f"{directory.absolute()} has no working tree: say BASE and HEAD")
    if not options.head and repository.resolve("HEAD") is None:
        raise NotFound(f"{directory.absolute()} has no commit yet that the working tree could be compared with")
    head = repository.commit_named(options.head or "HEAD")
    base = repository.commit_named(options.base) if options.base else _parting(repository, head)
    folder = repository.folder(directory)
    new = CommitFiles(repository, head, folder) if options.head else WorkingTree(directory)
    one, other = load_both(CommitFiles(repository, base, folder), new)
    written = [path for path, file in other.files.items() if file.documents]
    cases = _Cases(repository, one, other, base=base, comments=comments_in(new.read, written), patches=options.objects)
    return Change(
        schema_version=1,
        base=_named(options.base, base),
        head=_named(options.head, head) if options.head else "the working tree",
        clusters=tuple(cases.change(name) for name in cases.picked(options.cluster)),
        findings=cases.findings,
    )


def _parting(repository: Repository, head: str) -> str:
    """Where `head` left main; `head` itself, where there is no main."""
    mains = (repository.resolve(name) for name in _MAINS)
    bases = (repository.merge_base(main, head) for main in mains if main is not None)
    return next((base for base in bases if base is not None), head)


def _named(given: str | None, commit: str) -> str:
    short = commit[:_SHORT]
    return short if given is None or commit.startswith(given) else f"{given} ({short})"


class _Cases:
    """Both sides, one cluster after the other."""

    def __init__(
        self, repository: Repository, one: Loaded, other: Loaded, *, base: str, comments: Comments, patches: bool
    ) -> None:
        self._repository, self._one, self._other = repository, one, other
        self._base, self._comments, self._patches = base, comments, patches
        before, after = settings.read(one), settings.read(other)
        self._before = _clusters(before)
        self._after = _clusters(after) if isinstance(after, RepositorySpec) else self._before
        self.findings = after if isinstance(after, tuple) and not self._before else ()

    def picked(self, cluster: str | None) -> list[str]:
        """The names of all clusters of both sides, or the one that was asked for."""
        names = list(dict.fromkeys((*self._after, *self._before)))
        if cluster is None or cluster in names:
            return [cluster] if cluster is not None else names
        raise NotFound(f"fresco.yaml has no cluster {cluster!r}: there is {' and '.join(names) or 'none'}")

    def change(self, name: str) -> ClusterChange:
        """What changes in one of them."""
        previous, source = self._status(self._after.get(name) or self._before[name])
        if name not in self._after:
            return ClusterChange(name, source, notes=("it is not in fresco.yaml any more, and stays as it is",))
        memo = Memo()
        base = self._wanted_before(name, previous, memo)
        now = previous if previous is not None or base is None else settled(base)
        head = accept(self._other, name, now, memo)
        sides = Sides(
            now=now if now is not None else Tree(repository=nothing(head.repository).repository),
            base=base if base is not None else nothing(head.repository),
            head=head,
        )
        change = cluster_change(sides, now=source, patches=self._patches)
        left = set(silence.silenced(change.findings, self._comments))
        return msgspec.structs.replace(change, findings=tuple(one for one in change.findings if one in left))

    def _wanted_before(self, name: str, previous: Tree | None, memo: Memo) -> Wanted | None:
        """None where the cluster was not there, or its settings were broken and nothing is known of it besides."""
        if name not in self._before and previous is None:
            return None
        try:
            return accept(self._one, name, previous, memo)
        except InvalidRepository:
            return None

    def _status(self, cluster: Cluster) -> tuple[Tree | None, str]:
        """The status that the cluster's agent has written, and where it was read from."""
        branch = resolve.branch(cluster)
        at = branches.reference(self._repository, branch)
        newest = self._repository.resolve(at) if at is not None else None
        if newest is None:
            return None, f"{self._base[:_SHORT]}, all of it rolled out"
        status = BranchFiles().read(self._repository, newest)
        return status, f"{branch} at {newest[:_SHORT]}"


def _clusters(spec: object) -> dict[str, Cluster]:
    return {one.name: one for one in spec.clusters} if isinstance(spec, RepositorySpec) else {}
