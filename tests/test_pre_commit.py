"""The hooks and the examples for continuous integration, as people use them.

The real pre-commit and the real pip install Fresco from this checkout's own files, and run it in a real repository.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from render import templates
from tests.support import installing
from tests.support.git import ENVIRONMENT, bare_repository, commit_files, git
from tests.support.locks import PROJECT, ROOT

EXAMPLES = ROOT / "examples"
DEPLOYMENT, SERVER = "fraud/deployments/scorer.yaml", "fraud/servers/cpu-a.yaml"
MODELS = (EXAMPLES / "models").as_uri()
THEIRS = "fraud/deployments/theirs.yaml"
THEIR_TEXT = """\
apiVersion: michelangelo.api/v2
kind: Deployment
metadata: {name: theirs, namespace: fraud}
spec: {desiredRevision: {name: "1"}, inferenceServer: {name: cpu-a}}
"""
PAGE = (ROOT / "docs" / "ci.md").read_text("utf-8")
PRE_COMMIT, GITHUB, GITLAB = map(yaml.safe_load, re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
SCRIPTS: dict[str, list[str]] = {
    "GitHub": [step["run"] for step in GITHUB["jobs"]["fresco"]["steps"] if "run" in step],
    "GitLab": GITLAB["fresco"]["script"],
}


class Team:
    """A clone in which people commit, and the environment in which they do."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        """`folder` is a git repository."""
        self.folder, self._environment = folder, environment

    def run(self, *command: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
        """Runs a command in the clone."""
        environment = {**self._environment, **more}
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)

    def commit(self, files: dict[str, str | None], **more: str) -> subprocess.CompletedProcess[str]:
        """Writes or deletes files and commits, with the hooks; `more` goes to the environment."""
        for name, text in files.items():
            if text is None:
                (self.folder / name).unlink()
            else:
                (self.folder / name).write_text(text, "utf-8")
        self.run("git", "add", "--all")
        return self.run("git", "commit", "--quiet", "--message", "change", **more)

    def text(self, name: str) -> str:
        """What is in a file."""
        return (self.folder / name).read_text("utf-8")

    @property
    def tip(self) -> str:
        """The last commit."""
        return git("rev-parse", "HEAD", cwd=self.folder)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a clone of Fresco, `fresco`, and what stands in for the network, `site`."""
    folder = tmp_path_factory.mktemp("workplace")
    checkout = installing.checkout(folder / "fresco")
    git("init", "--quiet", "--initial-branch=main", cwd=checkout)
    commit_files(checkout, {})
    return folder


@pytest.fixture(scope="module")
def environment(workplace: Path) -> dict[str, str]:
    """Without a network, and with a cache of its own: pre-commit installs once for all tests."""
    offline = installing.offline(workplace / "site")
    return {**offline, **ENVIRONMENT, "PRE_COMMIT_HOME": str(workplace / "cache"), "HOME": str(workplace)}


@pytest.fixture
def team(tmp_path: Path, environment: dict[str, str]) -> Team:
    """A clone of the example's repository, whose model is where it says."""
    bare = bare_repository(tmp_path / "origin.git")
    git("clone", "--quiet", str(bare), "team", cwd=tmp_path)
    files = {path.relative_to(EXAMPLES / "repo").as_posix(): path.read_text() for path in _files(EXAMPLES / "repo")}
    files[DEPLOYMENT] = files[DEPLOYMENT].replace("file:///srv/models", MODELS)
    commit_files(tmp_path / "team", files)
    git("push", "--quiet", "origin", "HEAD:main", cwd=tmp_path / "team")
    return Team(tmp_path / "team", environment)


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*.yaml")) if path.is_file())


def _unlocked(text: str) -> str:
    return re.sub(r"^ +digest: .*\n", "", text, flags=re.MULTILINE)


# ---- pre-commit


@pytest.fixture
def hooked(team: Team, workplace: Path) -> Team:
    """With the page's configuration, of this checkout."""
    (source,) = PRE_COMMIT["repos"]
    here = {"repo": str(workplace / "fresco"), "rev": git("rev-parse", "HEAD", cwd=workplace / "fresco")}
    (team.folder / ".pre-commit-config.yaml").write_text(yaml.safe_dump({"repos": [{**source, **here}]}))
    installed = team.run(sys.executable, "-m", "pre_commit", "install", "--install-hooks")
    assert installed.returncode == 0, installed
    assert list((workplace / "cache").glob("*/py_env-*/bin/fresco"))
    return team


def test_a_good_commit_is_accepted(hooked: Team) -> None:
    before = hooked.tip
    done = hooked.commit({SERVER: hooked.text(SERVER).replace("replicas: 2", "replicas: 3")})
    assert done.returncode == 0, done
    assert hooked.tip != before


def test_a_bad_commit_is_refused_with_the_finding(hooked: Team) -> None:
    before = hooked.tip
    done = hooked.commit({DEPLOYMENT: hooked.text(DEPLOYMENT).replace("server: cpu-a", "server: cpu-b")})
    assert done.returncode == 1
    assert f"{DEPLOYMENT}:8:11: FR021 spec.server: there is no InferenceServer fraud/cpu-b" in done.stdout + done.stderr
    assert hooked.tip == before


def test_a_deletion_that_breaks_what_stays_is_refused(hooked: Team) -> None:
    assert hooked.commit({}).returncode == 0  # the configuration itself
    before = hooked.tip
    done = hooked.commit({SERVER: None})
    assert done.returncode == 1
    assert "FR021" in done.stdout + done.stderr
    assert hooked.tip == before


def test_a_commit_without_what_it_names_is_refused_until_that_is_added(hooked: Team) -> None:
    assert hooked.commit({}).returncode == 0  # the configuration itself
    before, server = hooked.tip, SERVER.replace("cpu-a", "cpu-b")
    (hooked.folder / server).write_text(hooked.text(SERVER).replace("cpu-a", "cpu-b"))
    (hooked.folder / DEPLOYMENT).write_text(hooked.text(DEPLOYMENT).replace("server: cpu-a", "server: cpu-b"))
    commit = ("git", "commit", "--quiet", "--message", "moved")
    hooked.run("git", "add", DEPLOYMENT)
    done = hooked.run(*commit)
    assert done.returncode == 1
    assert f"{DEPLOYMENT}:8:11: FR021 spec.server: there is no InferenceServer fraud/cpu-b" in done.stdout + done.stderr
    assert hooked.tip == before
    hooked.run("git", "add", server)
    assert hooked.run(*commit).returncode == 0


def test_a_missing_digest_is_written_and_the_next_try_is_accepted(hooked: Team) -> None:
    before, text = hooked.tip, hooked.text(DEPLOYMENT)
    without = _unlocked(text)
    assert without != text
    first = hooked.commit({DEPLOYMENT: without})
    assert first.returncode == 1
    assert "files were modified by this hook" in first.stdout + first.stderr
    assert hooked.tip == before
    assert hooked.text(DEPLOYMENT) == text
    second = hooked.commit({SERVER: hooked.text(SERVER) + "# the digest is there now\n"})
    assert second.returncode == 0, second


@pytest.fixture
def mixed(hooked: Team) -> Team:
    """Where Michelangelo's resources may be, too, and one is about to be committed."""
    settings = f"{hooked.text('fresco.yaml')}  michelangelo:\n    artifacts: {MODELS}/scorer/{{revision}}\n"
    assert hooked.commit({"fresco.yaml": settings}).returncode == 0
    (hooked.folder / THEIRS).write_text(THEIR_TEXT)
    hooked.run("git", "add", THEIRS)
    return hooked


def test_a_commit_without_its_new_lock_file_is_refused_until_that_is_added(mixed: Team) -> None:
    before = mixed.tip
    commit = ("git", "commit", "--quiet", "--message", "theirs")
    for add, command in ((), commit), ((), commit), (("fresco.lock",), (*commit, THEIRS)):
        mixed.run("git", "add", *add)
        done = mixed.run(*command)
        assert done.returncode == 1, done
        assert "a commit would leave it out: git add fresco.lock\n" in done.stdout + done.stderr
        assert mixed.tip == before
    done = mixed.run(*commit)
    assert done.returncode == 0, done
    assert git("show", "--name-only", "--format=", "HEAD", cwd=mixed.folder).split() == [THEIRS, "fresco.lock"]


def test_a_commit_without_what_is_new_in_its_lock_file_is_refused_until_that_is_added(mixed: Team) -> None:
    lock = "apiVersion: serving.fresco.dev/v1alpha1\nkind: Lock\n"
    (mixed.folder / THEIRS).unlink()
    assert mixed.commit({"fresco.lock": lock}).returncode == 0
    before = mixed.tip
    (mixed.folder / THEIRS).write_text(THEIR_TEXT)
    mixed.run("git", "add", THEIRS)
    for _ in range(2):
        done = mixed.run("git", "commit", "--quiet", "--message", "theirs")
        assert done.returncode == 1, done
        assert "files were modified by this hook" in done.stdout + done.stderr
        assert mixed.tip == before
    assert mixed.commit({}).returncode == 0


# ---- continuous integration


@pytest.fixture(scope="module")
def programs(workplace: Path, environment: dict[str, str]) -> Path:
    """Where a runner's programs are: a Python, and what the examples' first step installs there."""
    folder = workplace / "runner"
    subprocess.run([sys.executable, "-m", "venv", folder], env=environment, check=True)
    (install,) = {script[0] for script in SCRIPTS.values()}
    there = {"PATH": f"{folder / 'bin'}:{ENVIRONMENT['PATH']}", "FRESCO": f"file://{workplace / 'fresco'}"}
    subprocess.run(["bash", "-e", "-c", install], env={**environment, **there}, check=True)
    assert (folder / "bin" / "fresco").exists()
    return folder / "bin"


def run_job(team: Team, script: list[str], programs: Path) -> subprocess.CompletedProcess[str]:
    """Runs what follows the first step, for what has been committed since `origin/main`, until a step fails."""
    done = subprocess.CompletedProcess[str]([], 0)
    for step in script[1:]:
        done = team.run(
            *("bash", "-e", "-o", "pipefail", "-c", step),
            PATH=f"{programs}:{ENVIRONMENT['PATH']}",
            GITHUB_BASE_REF="main",
            CI_MERGE_REQUEST_DIFF_BASE_SHA=git("rev-parse", "origin/main", cwd=team.folder),
        )
        if done.returncode != 0:
            break
    return done


@pytest.mark.parametrize("site", SCRIPTS)
def test_a_job_passes_where_all_is_well(team: Team, site: str, programs: Path) -> None:
    assert team.commit({SERVER: team.text(SERVER) + "# more\n"}).returncode == 0
    done = run_job(team, SCRIPTS[site], programs)
    assert done.returncode == 0, done


@pytest.mark.parametrize("site", SCRIPTS)
def test_a_job_fails_on_what_is_not_valid(team: Team, site: str, programs: Path) -> None:
    assert team.commit({DEPLOYMENT: _unlocked(team.text(DEPLOYMENT))}).returncode == 0
    done = run_job(team, SCRIPTS[site], programs)
    assert done.returncode == 1
    assert {"GitHub": f"::error file={DEPLOYMENT},line=10", "GitLab": f"{DEPLOYMENT}:10:5: FR040"}[site] in done.stdout
    if site == "GitLab":
        report = team.folder / GITLAB["fresco"]["artifacts"]["reports"]["codequality"]
        assert [one["check_name"] for one in json.loads(report.read_text("utf-8"))] == ["FR040"]


@pytest.mark.parametrize("site", SCRIPTS)
def test_a_job_fails_on_a_digest_that_is_not_the_models(team: Team, site: str, programs: Path) -> None:
    wrong = re.sub("sha256:[0-9a-f]{64}", f"sha256:{'4d' * 32}", team.text(DEPLOYMENT))
    assert team.commit({DEPLOYMENT: wrong}).returncode == 0
    done = run_job(team, SCRIPTS[site], programs)
    assert done.returncode != 0
    assert re.search(rf"{DEPLOYMENT}:12:13: .* expected sha256:1b08\w+, found sha256:4d4d", done.stdout)


def test_a_job_ends_with_any_command_that_fails() -> None:
    assert GITHUB["defaults"]["run"]["shell"] == "bash"  # with it GitHub sets pipefail; GitLab does so always


def test_a_hook_and_a_job_install_the_same() -> None:
    (hooks,) = PRE_COMMIT["repos"]
    sources = {GITHUB["jobs"]["fresco"]["env"]["FRESCO"], GITLAB["fresco"]["variables"]["FRESCO"]}
    assert sources == {f"git+{hooks['repo']}@{hooks['rev']}"}
    assert hooks["rev"] == f"v{PROJECT['project']['version']}"


# ---- what `fresco init` writes


def test_the_first_configuration_has_the_same_hooks_with_the_fresco_of_the_machine() -> None:
    ours = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    (local,) = yaml.safe_load(templates.pre_commit())["repos"]
    assert [_asked(one) for one in local["hooks"]] == [_asked(one) for one in ours]


def _asked(hook: dict[str, object]) -> dict[str, object]:
    how = ("name", "description", "language", "additional_dependencies")
    return {key: value for key, value in hook.items() if key not in how}


def test_the_first_configuration_refuses_a_bad_commit(team: Team, programs: Path) -> None:
    (team.folder / ".pre-commit-config.yaml").write_text(templates.pre_commit())
    assert team.run(sys.executable, "-m", "pre_commit", "install").returncode == 0
    path = f"{programs}:{ENVIRONMENT['PATH']}"
    assert team.commit({}, PATH=path).returncode == 0
    done = team.commit({DEPLOYMENT: team.text(DEPLOYMENT).replace("server: cpu-a", "server: cpu-b")}, PATH=path)
    assert done.returncode == 1
    assert "FR021" in done.stdout + done.stderr
