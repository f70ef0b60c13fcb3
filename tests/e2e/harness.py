"""A whole Fresco on this machine: git over HTTP, `fresco-agent local` as the process it is, and a person who commits.

What the tests see, a person could see: the branch that the agent writes, answers through the gateway, exit codes. Only
the numbers of processes are taken from the node's own records.
"""

import functools
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import msgspec
import yaml

from agent.local.git_server import GitServer, serving
from agent.status.cluster import ClusterState
from render.branch_files import deviations
from render.repository import Repository
from schemas.status import DeploymentStatus, RepositoryStatus, ServerStage, ServerStatus, Stage
from tests.e2e import artifacts, processes, repository
from tests.e2e.artifacts import Artifact, Content
from tests.e2e.load import Load
from tests.e2e.processes import Seen
from tests.support import contracts
from tests.support.git import bare_repository, git
from tests.support.small_disk import SmallDisk

T = TypeVar("T", bound=msgspec.Struct)

PATIENCE = 90.0  # seconds; generous, nothing is timed
_MARK = "FRESCO_E2E"
_LOG_LINES = 40


class LocalFresco:
    """One repository and one local cluster below `directory`."""

    def __init__(self, directory: Path, git_server: GitServer, files_url: str) -> None:
        """Use `local_fresco`."""
        self.directory = directory
        self.url = git_server.url("models.git")
        self.bare = bare_repository(directory / "repositories" / "models.git")
        self.storage = directory / "storage"
        self.data = directory / "data"
        self._files_url = files_url
        self.agent_disk: SmallDisk | None = None
        self._mark = f"{_MARK}={uuid4().hex}"
        self._log = directory / "fresco-agent.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.clone = directory / "person"
        git("clone", "--quiet", self.url, self.clone, cwd=directory)
        git("symbolic-ref", "HEAD", "refs/heads/main", cwd=self.clone)

    # ---- a person

    def commit(self, files: dict[str, str | None], *, message: str = "change") -> None:
        """Commits to main and pushes, if that changes anything: text by path, None deletes."""
        for path, text in files.items():
            file = self.clone / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.unlink() if text is None else file.write_text(text, "utf-8")
        git("add", "--all", cwd=self.clone)
        if git("status", "--porcelain", cwd=self.clone):
            git("commit", "--quiet", "--message", message, cwd=self.clone)
            git("push", "--quiet", "origin", "HEAD:main", cwd=self.clone)

    def deploy(self, name: str, artifact: Artifact, **rollout: Any) -> None:
        """Commits the Deployment `name` with this artifact."""
        path = repository.path_of("deployments", name)
        self.commit({path: repository.deployment(name, artifact, **rollout)}, message=f"{name} {artifact.revision}")

    @property
    def grants(self) -> list[str]:
        """What the namespace may take artifacts from."""
        return [self.storage.as_uri(), self._files_url]

    def model(self, revision: str, initialize: str = artifacts.FINE) -> Artifact:
        """A new model in a directory."""
        return artifacts.directory(self.storage, revision, artifacts.model(revision, initialize))

    def store(self, revision: str, content: Content) -> Artifact:
        """Any new artifact in a directory."""
        return artifacts.directory(self.storage, revision, content)

    def publish(self, file: str, data: bytes, artifact_digest: str) -> Artifact:
        """An archive behind http://."""
        (self.storage / "http").mkdir(parents=True, exist_ok=True)
        (self.storage / "http" / file).write_bytes(data)
        return Artifact(file, f"{self._files_url}{file}", artifact_digest)

    # ---- the program

    def start(self) -> None:
        """Starts `fresco-agent local`."""
        name, _, value = self._mark.partition("=")
        command = [sys.executable, "-m", "agent.status", "local", "--repository", self.url]
        command += ["--cluster", repository.CLUSTER, "--data", str(self.data)]
        if self.agent_disk is not None:
            self.agent_data.parent.mkdir(exist_ok=True)
            self.agent_data.symlink_to(self.agent_disk.place)
            command = self.agent_disk.inside(command)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env={**os.environ, name: value},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @contextmanager
    def another_agent(self) -> Iterator[None]:
        """A second agent for the same cluster while the block runs, with a clone of its own; killed at the end."""
        name, _, value = self._mark.partition("=")
        command = [sys.executable, "-m", "agent.status", "run-local", "--repository", self.url]
        command += ["--cluster", repository.CLUSTER, "--data", str(self.directory / "another")]
        command += ["--node", str(self.data / "node")]
        with self._log.open("ab") as log:
            agent = subprocess.Popen(command, env={**os.environ, name: value}, stdout=log, stderr=log)
        try:
            yield
        finally:
            agent.kill()
            agent.wait()

    def stop(self) -> None:
        """Ends it as Ctrl-C does. Its exit code is 0, and nothing is left of it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        code = self._process.wait(PATIENCE)
        assert (code, self.left_behind()) == (0, []), self.tail()

    def kill_parent(self) -> None:
        """`kill -9` of `fresco-agent local`. Nothing of it may be left after a while."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None
        self.until(lambda: not self.left_behind(), "all that it started ends too")

    def put_away(self) -> None:
        """After a test that ended early: ends what still runs, one by one."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for left in processes.marked(self._mark):
            processes.kill(left.pid)

    def left_behind(self) -> list[str]:
        """Processes and shared memory that it started and did not end."""
        running = [" ".join(seen.command) for seen in processes.marked(self._mark)]
        return [*running, *self._shared_memory()]

    @property
    def agent_data(self) -> Path:
        """The agent's directory, with its clone."""
        return self.data / "agent"

    @property
    def gateway(self) -> str:
        """`host:port` of the gateway, once it is there."""
        return str(self._addresses["gateway"])

    @property
    def parent_pid(self) -> int:
        """Of `fresco-agent local`."""
        assert self._process is not None
        return self._process.pid

    def pid_of_agent(self) -> int | None:
        """Of the agent, the one of the parent's two children that is not the node; None while it does not run."""
        return self._child(is_node=False)

    def pid_of_node(self) -> int | None:
        """Of the node, None while it does not run."""
        return self._child(is_node=True)

    def pid_of_gateway(self) -> int | None:
        """Of Envoy, None while it does not run."""
        return self._recorded("gateway/process.json")

    def pods(self, slice_name: str) -> list[str]:
        """Names of the pods of a slice."""
        deployment = f"{repository.SERVER}-{slice_name}"
        found = [_record(path) for path in sorted(self.data.rglob("pods/*/pod.json"))]
        return [pod["name"] for pod in found if pod.get("deployment") == deployment]

    def pods_by_port(self) -> dict[int, str]:
        """Names of all pods by the port of their server's HTTP."""
        places = [path.parent for path in sorted(self.data.rglob("pods/*/ports.json"))]
        records = [(_record(place / "pod.json"), _record(place / "ports.json")) for place in places]
        return {ports["http"]: pod["name"] for pod, ports in records if pod and ports}

    def admin_port(self) -> int:
        """Of Envoy."""
        return int(json.loads((self.data / "node" / "gateway" / "ports.json").read_text("utf-8"))["admin"])

    def pid_in_pod(self, pod: str, program: str) -> int | None:
        """Of `server` or `model-sync` in a pod, None while it does not run."""
        return self._recorded(f"pods/{pod}.*/{program}.json")

    def pids_of_sidecar(self, pod: str) -> list[int]:
        """Of the model-sync in a pod and of what it has started."""
        supervisor = self.pid_in_pod(pod, "model-sync")
        return [seen.pid for seen in processes.marked(self._mark) if supervisor in (seen.pid, seen.parent)]

    # ---- what anybody can see

    def show(self, path: str, revision: str = repository.BRANCH) -> str | None:
        """A file on the agent's branch, None where there is none."""
        done = subprocess.run(
            ["git", "show", f"{revision}:{path}"], cwd=self.bare, capture_output=True, text=True, check=False
        )
        return done.stdout if done.returncode == 0 else None

    def status(self, name: str, commit: str = repository.BRANCH) -> DeploymentStatus | None:
        """A Deployment's status file."""
        return self._read(f"status/{repository.NAMESPACE}/deployments/{name}.yaml", DeploymentStatus, commit)

    def server_status(self, name: str = repository.SERVER) -> ServerStatus | None:
        """An InferenceServer's status file."""
        return self._read(f"status/{repository.NAMESPACE}/servers/{name}.yaml", ServerStatus)

    def repository_status(self) -> RepositoryStatus | None:
        """`status/repository.yaml`."""
        return self._read("status/repository.yaml", RepositoryStatus)

    def pages(self) -> str:
        """STATUS.md and all the pages it leads to."""
        names = git("ls-tree", "-r", "--name-only", repository.BRANCH, cwd=self.bare).splitlines()
        return "\n".join(self.show(name) or "" for name in names if name.endswith(".md"))

    def tip(self) -> str | None:
        """The newest commit of the agent's branch."""
        done = git("for-each-ref", "--format=%(objectname)", f"refs/heads/{repository.BRANCH}", cwd=self.bare)
        return done or None

    def manifests(self, revision: str | None = None) -> dict[str, str]:
        """Object id by path of all manifests at `revision`, the tip unless given."""
        listing = git("ls-tree", "-r", revision or repository.BRANCH, "manifests/", cwd=self.bare).splitlines()
        return {path: entry.split()[2] for entry, _, path in (line.partition("\t") for line in listing)}

    def files(self) -> list[str]:
        """What the person has committed."""
        return git("ls-files", cwd=self.clone).splitlines()

    def is_settled(self) -> bool:
        """Whether the cluster has the tip of the agent's branch, and every pod is ready."""
        state = self.state()
        if state is None or state.applied != self.tip():
            return False
        return all(pod.ready and pod.live for pod in state.pods)

    def state(self) -> ClusterState | None:
        """The cluster as its node tells it, None while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://{self._addresses['api']}/state", timeout=5.0) as answer:
                return msgspec.json.decode(answer.read(), type=ClusterState)
        except (OSError, KeyError):
            return None

    def log(self) -> str:
        """What the agent and the node have printed."""
        return self._log.read_text("utf-8", errors="replace")

    def live(self) -> dict[str, Any]:
        """The agent's live page; nothing while it does not answer."""
        try:
            place = self.agent_disk.root if self.agent_disk is not None else self.agent_data
            url = (place / "web").read_text("utf-8").strip()
            with urllib.request.urlopen(f"{url}/", timeout=5.0) as answer:
                return dict(json.loads(answer.read()))
        except (OSError, ValueError):
            return {}

    def unready(self) -> frozenset[str]:
        """The pods that are known not to be ready."""
        state = self.state()
        return frozenset(pod.name for pod in state.pods if not pod.ready) if state is not None else frozenset()

    def served_names(self, server: str) -> set[str]:
        """What the sidecars of a server's ready pods report that it serves."""
        state = self.state()
        names: set[str] = set()
        for pod in state.pods if state is not None else ():
            if pod.server == server and pod.ready:
                with urllib.request.urlopen(f"http://{pod.report}/v1/status", timeout=5.0) as answer:
                    models = json.loads(answer.read()).get("models", {})
                names |= {name for name, one in models.items() if one.get("serving") is not None}
        return names

    def history(self) -> list[str]:
        """`git log` of the agent's branch, newest first: id and subject."""
        return git("log", "--format=%h %s", repository.BRANCH, cwd=self.bare).splitlines()

    def check_history(self) -> None:
        """What is true of every commit of the agent, whatever was done to it: it changes something, its files are those
        that its own status gives and keep their contracts, it accounts for itself, and no later one has an earlier
        epoch."""
        commits = git("log", "--reverse", "--author=fresco-agent", "--format=%H", repository.BRANCH, cwd=self.bare)
        opened = Repository.open(self.bare)
        epochs, seen = [], set[tuple[str, str]]()
        for commit in commits.splitlines():
            parents = opened.parents(commit)
            assert all(opened.tree_of(parent) != opened.tree_of(commit) for parent in parents), commit
            assert deviations(opened, commit) == {}, commit
            fresh = opened.files(commit).items() - seen
            contracts.check_branch({path: opened.read(blob) for path, blob in fresh})
            seen |= fresh
            trailers = opened.trailers_of(commit)
            assert {"Source-Commit", "Fresco-Version", "Lease-Epoch", "Reason"} <= trailers.keys(), commit
            epochs.append(int(trailers["Lease-Epoch"]))
        assert epochs == sorted(epochs)

    def load(self, name: str, *, rate: float = 20.0) -> Load:
        """Requests to the model of a Deployment, not yet begun."""
        return Load(f"http://{self.gateway}/{repository.NAMESPACE}/{repository.SERVER}/{name}/infer", rate=rate)

    # ---- waiting

    def until(self, condition: Callable[[], bool], what: str, *, seconds: float = PATIENCE) -> None:
        """Returns once `condition` holds; fails the test with all that is known after a generous while."""
        end = time.monotonic() + seconds
        while not condition():
            assert self._process is None or self._process.poll() is None, f"it ended\n{self.tail()}"
            assert time.monotonic() < end, f"not seen within {seconds:g} s: {what}\n{self.tail()}"
            time.sleep(0.05)

    def until_stage(self, name: str, stage: Stage, revision: str | None = None) -> DeploymentStatus:
        """Waits until nothing is in hand for a Deployment any more, at `stage`, with `revision` as its current one."""

        def there() -> bool:
            status = self.status(name)
            if status is None or status.stage is not stage or status.progress is not None:
                return False
            return revision is None or (status.current is not None and status.current.revision == revision)

        self.until(there, f"{name}: {stage} {revision or ''}")
        status = self.status(name)
        assert status is not None
        return status

    def until_serving(self, name: str = repository.SERVER) -> None:
        """Waits until an InferenceServer serves."""

        def serves() -> bool:
            status = self.server_status(name)
            return status is not None and status.stage is ServerStage.SERVE

        self.until(serves, f"{name}: {ServerStage.SERVE}")

    def until_pid(self, find: Callable[[], int | None], *, other_than: int | None = None) -> int:
        """Waits for a process, another one than that with this number."""
        self.until(lambda: find() not in (None, other_than), "the process")
        found = find()
        assert found is not None
        return found

    def tail(self) -> str:
        """The end of what all programs have printed, and of the agent's history: for a person who looks for a cause."""
        logs = [self._log, *sorted(self.data.rglob("*.log"))]
        ends = [f"==> {path}\n" + "\n".join(_last_lines(path)) for path in logs if path.exists()]
        history = self.history() if self.tip() else ["no commits"]
        return "\n".join([*ends, "==> history, newest first", *history[:_LOG_LINES]])

    # ---- small parts

    @property
    def _addresses(self) -> dict[str, str]:
        found = next(iter(self.data.rglob("node.json")), None)
        return json.loads(found.read_text("utf-8")) if found is not None else {}

    def _read(self, path: str, kind: type[T], commit: str = repository.BRANCH) -> T | None:
        text = self.show(path, commit)
        return msgspec.convert(yaml.safe_load(text), kind) if text is not None else None

    def _child(self, *, is_node: bool) -> int | None:
        children = (seen for seen in processes.marked(self._mark) if seen.parent == self.parent_pid)
        return next((seen.pid for seen in children if _is_node(seen) is is_node), None)

    def _shared_memory(self) -> list[str]:
        """What the pods' servers have in /dev/shm, by the names that the node gives it."""
        pods = (str(path.parent) for path in self.data.rglob("pods/*/pod.json"))
        marks = {sha256(pod.encode()).hexdigest()[:12] for pod in pods}
        return [str(path) for mark in sorted(marks) for path in Path("/dev/shm").glob(f"fresco-{mark}-*")]

    def _recorded(self, pattern: str) -> int | None:
        for record in self.data.rglob(pattern):
            try:
                pid = int(json.loads(record.read_text("utf-8"))["pid"])
            except (FileNotFoundError, ValueError):
                continue  # it ended meanwhile, or another is just being written down
            if processes.is_running(pid):
                return pid
        return None


@contextmanager
def local_fresco(directory: Path) -> Iterator[LocalFresco]:
    """A LocalFresco that is not started yet. What a test that failed left running is ended."""
    (directory / "repositories").mkdir()
    with ExitStack() as stack:
        files_url = stack.enter_context(_file_server(directory / "storage" / "http"))
        git_server = stack.enter_context(serving(directory / "repositories"))
        made = LocalFresco(directory, git_server, files_url)
        stack.callback(made.put_away)
        yield made


@contextmanager
def _file_server(directory: Path) -> Iterator[str]:
    """The files of `directory` behind http://; gives the URL before a file's name."""
    directory.mkdir(parents=True)
    handler = functools.partial(_QuietHandler, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, name="file-server")
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files and prints nothing."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nobody reads it."""


def _is_node(seen: Seen) -> bool:
    return any("node" in word for word in seen.command[1:3])


def _record(path: Path) -> dict[str, Any]:
    """What the node has written down; nothing of a pod that has just gone."""
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        return {}


def _last_lines(path: Path) -> list[str]:
    return path.read_text("utf-8", errors="replace").splitlines()[-_LOG_LINES:]
