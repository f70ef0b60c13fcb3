"""What `fresco validate` says of a repository: the findings for all its clusters, and what its comments silence. Pure,
but for reading what it is handed.
"""

from collections.abc import Collection
from typing import NamedTuple

from render import changes, report, settings, silence
from render.document import Comment, Loaded
from render.files import Files
from render.load import comments, load
from render.normal import accept
from render.repository import CommitFiles
from render.sides import load_both
from schemas.resources import RepositorySpec
from schemas.status import Finding


class Checked(NamedTuple):
    """All findings, in order. `read`: how many files of Fresco's there are. `is_whole`: false where fresco.yaml is so
    wrong that nothing else was looked at."""

    findings: tuple[Finding, ...]
    read: int
    is_whole: bool

    def among(self, paths: Collection[str]) -> tuple[Finding, ...]:
        """Those with one of their places in a file or folder of `paths`; what keeps all from being checked always."""
        if not self.is_whole:
            return self.findings
        return tuple(one for one in self.findings if any(_is_below(file, paths) for file in _files(one)))


def check(files: Files, committed: CommitFiles | None = None) -> Checked:
    """Everything that is to be said of `files`, and of what they change in what is `committed`."""
    before, loaded = load_both(committed, files) if committed is not None else (None, load(files))
    spec = settings.read(loaded)
    if not isinstance(spec, RepositorySpec):
        return Checked(tuple(report.in_order(spec)), len(loaded.files), is_whole=False)
    found = report.in_order(_of_clusters(loaded, spec))
    left = silence.silenced(found, comments_in(files, loaded))
    changed = [one for cluster in spec.clusters for one in _of_change(before, loaded, cluster.path)]
    return Checked(tuple(report.in_order([*left, *changed])), len(loaded.files), is_whole=True)


def _of_change(before: Loaded | None, after: Loaded, folder: str) -> list[Finding]:
    """A comment would silence nothing any more once it is committed, so that it does not here."""
    return changes.findings(before, after, folder) if before is not None else []


def _of_clusters(loaded: Loaded, spec: RepositorySpec) -> list[Finding]:
    return [finding for one in spec.clusters for finding in report.of(accept(loaded, one.name, None))]


def comments_in(files: Files, loaded: Loaded) -> dict[str, list[Comment]]:
    """The comments of the files in which one may silence something."""
    mark = silence.MARK.encode()
    return {
        path: comments(content)
        for path, file in loaded.files.items()
        if file.documents and mark in (content := files.read(path))
    }


def _files(finding: Finding) -> tuple[str, ...]:
    return (finding.file,) if finding.other is None else (finding.file, finding.other.file)


def _is_below(file: str, paths: Collection[str]) -> bool:
    """Whether `paths` has the file or a folder above it; the folder of everything is called `.`."""
    parts = file.split("/")
    return "." in paths or any("/".join(parts[:count]) in paths for count in range(1, len(parts) + 1))
