"""What the hook costs on a large repository, 1,000 servers and 10,000 Deployments, one resource a file and all in ten.

Cold: `fresco validate` as a process, with nothing known of the repository. Again: nothing changed since. Changed: one
Deployment got another revision, with a comment above it, so that everything below it stands in another line. All of it
in git, all of it committed but for the change. The peer is kubeconform on what Fresco renders of that repository; it
checks each object by the schema of its kind and knows of no rule between two. Its schemas come from the disk.
`fresco --help` beside the same Python that does nothing.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from render import plan
from render.document import Loaded
from render.load import load_file
from render.normal import accept
from render.settled import settled
from render.write import to_folder
from tests.bench import kubeconform_peer
from tests.bench.go_program import Missing
from tests.bench.numbers import Figures, megabytes, ratio, table, timed
from tests.support.fleet import CLUSTER, repository, revised
from tests.support.git import git

SERVERS, DEPLOYMENTS = 1000, 10_000
TURNS = 5
FILES = 10
GOAL_CHANGED, GOAL_HELP = 1.0, 0.3  # seconds

_FRESCO = Path(sys.executable).with_name("fresco")


class _Repository(NamedTuple):
    """One in git. `file`: one with a Deployment, whose text is `deployment`."""

    root: Path
    file: Path
    deployment: bytes


def run() -> Iterator[str]:
    """Measures, and gives the lines to print as they come. A peer that cannot be made here is said to be missing."""
    contents = repository(servers=SERVERS, deployments=DEPLOYMENTS)
    with tempfile.TemporaryDirectory() as folder:
        peer = yield from _peer(contents, Path(folder, "rendered"))
        deployment = next(one for path, one in contents.items() if "/deployments/" in path)
        for name, files in (("one resource a file", contents), (f"all in {FILES} files", _joined(contents))):
            size = sum(map(len, files.values()))
            yield f"{SERVERS} servers, {DEPLOYMENTS} Deployments, {name}, {megabytes(size)}:"
            made = _committed(Path(folder, name.replace(" ", "-")), files, deployment)
            yield from _validate(made, peer)
    yield "the command line:"
    yield from _help()


def _joined(contents: Mapping[str, bytes]) -> dict[str, bytes]:
    """The same resources in few files, in the order of their paths."""
    paths = sorted(path for path in contents if path != "fresco.yaml")
    size = -(-len(paths) // FILES)
    parts = [paths[start : start + size] for start in range(0, len(paths), size)]
    joined = {
        f"part-{number}.yaml": b"---\n".join(map(contents.__getitem__, part)) for number, part in enumerate(parts)
    }
    return {"fresco.yaml": contents["fresco.yaml"], **joined}


def _committed(root: Path, files: Mapping[str, bytes], deployment: bytes) -> _Repository:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    git("init", "--quiet", cwd=root)
    git("add", "--all", cwd=root)
    git("commit", "--quiet", "--message", "Begin", cwd=root)
    return _Repository(root, root / next(path for path, content in files.items() if deployment in content), deployment)


# ---- the hook


def _validate(made: _Repository, peer: Callable[[], float] | None) -> Iterator[str]:
    turns = [_turn(made, peer, number) for number in range(TURNS)]
    names = ("cold", "again, nothing changed", "one Deployment changed", "peer: kubeconform")
    columns = [Figures(list(column)) for column in zip(*turns, strict=True)]
    yield from table(*zip(names, columns, strict=False))
    if peer is not None:
        yield from ratio(columns[0], columns[3])
    changed = columns[2].p99
    yield f"  goal ≤ {GOAL_CHANGED * 1000:.0f} ms after a change: {'met' if changed <= GOAL_CHANGED else 'missed'}"


def _turn(made: _Repository, peer: Callable[[], float] | None, number: int) -> tuple[float, ...]:
    """Seconds of each."""
    git("checkout", "--quiet", ".", cwd=made.root)
    for kept in (made.root / ".git" / "fresco").glob("*"):
        kept.unlink()
    cold, again = (timed(lambda: _fine(made.root)) for _ in range(2))
    text = made.file.read_bytes()
    made.file.write_bytes(text.replace(made.deployment, b"# again\n" + revised(made.deployment, f"r{number}"), 1))
    if made.file.read_bytes() == text:
        raise AssertionError(f"nothing was changed in {made.file}")
    changed = timed(lambda: _fine(made.root))
    return (cold, again, changed, peer()) if peer is not None else (cold, again, changed)


def _fine(root: Path) -> None:
    """Raises CalledProcessError unless nothing is found."""
    done = subprocess.run([_FRESCO, "validate", "-C", root], capture_output=True, text=True, check=True)
    if done.stdout + done.stderr:
        raise AssertionError(done.stdout + done.stderr)


def _peer(contents: Mapping[str, bytes], folder: Path) -> Generator[str, None, Callable[[], float] | None]:
    """Gives what measures the peer once on what is rendered of `contents`, in seconds; None where there is no peer."""
    try:
        binary, schemas = kubeconform_peer.kubeconform(), kubeconform_peer.schemas()
    except Missing as problem:
        yield f"no peer: {problem}"
        return None
    loaded = Loaded.of({path: load_file(path, content) for path, content in contents.items()})
    objects = plan.manifests(settled(accept(loaded, CLUSTER, None)))
    to_folder(folder, objects)
    counts = kubeconform_peer.check(binary, schemas, folder)
    if counts != {"valid": len(objects), "invalid": 0, "errors": 0, "skipped": 0}:
        raise AssertionError(f"kubeconform does not find {len(objects)} valid objects, but {counts}")
    return lambda: timed(lambda: kubeconform_peer.check(binary, schemas, folder))


# ---- the command line


def _help() -> Iterator[str]:
    nothing = [sys.executable, "-c", "pass"]
    turns = [(_process([_FRESCO, "--help"]), _process(nothing)) for _ in range(4 * TURNS)]
    ours, peer = (Figures(list(column)) for column in zip(*turns, strict=True))
    yield from table(("fresco --help", ours), ("peer: Python that does nothing", peer))
    yield from ratio(ours, peer)
    yield f"  goal ≤ {GOAL_HELP * 1000:.0f} ms: {'met' if ours.p99 <= GOAL_HELP else 'missed'}"


def _process(command: Sequence[str | Path]) -> float:
    return timed(lambda: subprocess.run(command, stdout=subprocess.DEVNULL, check=True))
