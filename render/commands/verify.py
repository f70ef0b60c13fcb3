"""`fresco verify`: replays a cluster's branch. I/O: a git repository, standard output and error."""

import argparse
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from render import branches, trailers
from render.characters import one_line
from render.diff.words import count
from render.errors import ExitCode, NotFound
from render.repository import Repository
from render.verify.replay import Verified, replay

EXAMPLES = """\
examples:
  fresco verify                            # every commit of the cluster's branch
  fresco verify --cluster prod v1..        # those after a tag
  fresco verify clusters/prod~20..         # the last 20

It renders the manifests of each commit from the commit's own status and compares them byte for byte, and looks whether
each stage change is one that the rules allow, with the evidence that they ask for. Of a commit that another version of
Fresco has written it checks the stage changes alone, and says so.

exit status: 0 all is as the agent wrote it, 1 the commits that it names are not, 2 wrong use
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """As every command."""
    parser.add_argument("range", nargs="?", metavar="REV_RANGE", help="A..B, A.. or B (default: the whole branch)")
    parser.add_argument("--cluster", help="one of fresco.yaml's clusters (default: all that have a branch)")
    parser.add_argument("-C", dest="directory", type=Path, default=Path(), metavar="DIR", help="the repository")
    parser.add_argument("-q", "--quiet", action="store_true", help="say only what is wrong")


def run(options: argparse.Namespace) -> ExitCode:
    """As every command."""
    repository = Repository.open(options.directory)
    chosen = branches.select(repository, options.cluster)
    if options.range is not None and len(chosen) > 1:
        raise NotFound(f"say --cluster {' or --cluster '.join(one.cluster for one in chosen)}")
    results = [_verify(repository, one, options.range, is_quiet=options.quiet) for one in chosen]
    return ExitCode.FINE if all(results) else ExitCode.FINDINGS


def _verify(repository: Repository, one: branches.ClusterBranch, said: str | None, *, is_quiet: bool) -> bool:
    base, tip = _ends(repository, one, said)
    version = trailers.installed_version()
    commits = repository.line(tip, base)
    seen, bad, foreign = 0, 0, Counter[str]()
    for verified in replay(repository, commits, base=base, version=version):
        seen += 1
        bad += bool(verified.problems)
        foreign[verified.version] += not verified.is_rendered_anew
        _print(verified)
    if is_quiet:
        return bad == 0
    for other, number in sorted(foreign.items()):
        if number and other != version:
            by = f"Fresco {one_line(other)}" if other else "an unknown version"
            sys.stdout.write(
                f"{count(number, 'commit')} by {by}: only their stage changes were checked, this is {version}\n"
            )
    verdict = f"{bad:,} of them wrong" if bad else "all as they should be"
    sys.stdout.write(f"{one.branch}: {count(seen, 'commit')}, {verdict}\n")
    return bad == 0


def _print(verified: Verified) -> None:
    if verified.problems:
        at = datetime.fromtimestamp(verified.at, UTC)
        lines = "".join(f"  {one_line(problem)}\n" for problem in verified.problems)
        sys.stdout.write(f"{verified.commit[:12]} {at:%Y-%m-%d %H:%M:%S} {one_line(verified.subject)}\n{lines}")


def _ends(repository: Repository, one: branches.ClusterBranch, said: str | None) -> tuple[str | None, str]:
    """Ids of the commit before the first one, None for the whole branch, and of the last one."""
    first, _, last = (said or "").rpartition("..")
    base = repository.commit_named(first) if first else None
    return base, repository.commit_named(last or one.reference)
