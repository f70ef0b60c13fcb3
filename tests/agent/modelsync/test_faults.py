"""Kills and hangs on real processes: what served goes on serving or comes back, and the report says what happened."""

import os
import signal
import time
from pathlib import Path

import pytest

from schemas import limits
from schemas.model_config import ConfigEntry
from schemas.report import Reason, SidecarReport
from tests.agent.modelsync.conftest import World
from tests.support.models import model
from tests.support.sidecar import is_running, revision
from tests.support.triton import wait_until

KILLS_ITS_SERVER = "os.kill(os.getppid(), signal.SIGKILL)"
# Long enough to be killed in, and shorter than any deadline of the tests.
SLOW = "time.sleep(2)"
HANGS = "time.sleep(3600)"
RAISES = "raise RuntimeError('no such weights')"


def _reason(report: SidecarReport, name: str) -> Reason | None:
    error = report.models[name].error if name in report.models else None
    return error.reason if error else None


def _wait_for_the_call(world: World, times: int = 1) -> None:
    wait_until(lambda: world.sidecar.log.count(" loading ") >= times, what="a load was asked for")


def test_a_model_that_kills_its_server_is_quarantined_and_the_previous_one_is_back(
    own_world: World, tmp_path: Path
) -> None:
    good = revision(model(tmp_path / "good", "good"))
    bad = revision(model(tmp_path / "bad", "bad", initialize=KILLS_ITS_SERVER))
    sidecar = own_world.sidecar
    sidecar.write({"scorer": ConfigEntry(serve=good, gate=True)})
    first = sidecar.until_serving("scorer", good.digest)
    sidecar.write({"scorer": ConfigEntry(serve=bad, gate=True)})
    wait_until(lambda: not own_world.server.is_running(), what="the server is dead")
    sidecar.until(lambda report: not report.ready and not report.server.live, what="the pod is unready")
    own_world.server.restart()
    report = sidecar.until(lambda r: r.ready and r.models["scorer"].serving == good.digest, what="the previous is back")
    assert _reason(report, "scorer") is Reason.QUARANTINED
    assert report.server.started_at != first.server.started_at
    assert own_world.ask("scorer") == "good"
    # Neither a restart of the sidecar nor one of the server brings it to load that again.
    assert sidecar.stop() == 0
    own_world.server.restart()
    sidecar.start()
    report = sidecar.until(lambda r: r.models["scorer"].serving == good.digest, what="the previous is back again")
    assert _reason(report, "scorer") is Reason.QUARANTINED
    assert own_world.server.is_running()


def test_a_raised_attempt_lifts_the_quarantine(own_world: World, tmp_path: Path) -> None:
    serve = revision(model(tmp_path / "slow", "slow", initialize=SLOW))
    own_world.sidecar.write({"scorer": ConfigEntry(serve=serve)})
    _wait_for_the_call(own_world)
    own_world.server.restart()
    own_world.sidecar.until(lambda r: _reason(r, "scorer") is Reason.QUARANTINED, what="it is quarantined")
    own_world.sidecar.write({"scorer": ConfigEntry(serve=serve, attempt=1)})
    own_world.sidecar.until_serving("scorer", serve.digest)


def test_a_server_that_dies_over_several_loads_gets_them_one_by_one(own_world: World, tmp_path: Path) -> None:
    names = ("a", "b", "c")
    serve = {name: revision(model(tmp_path / name, name, initialize=SLOW)) for name in names}
    own_world.sidecar.write({name: ConfigEntry(serve=serve[name]) for name in names})
    _wait_for_the_call(own_world, times=3)
    own_world.server.restart()
    for name in names:
        own_world.sidecar.until_serving(name, serve[name].digest)
        assert own_world.ask(name) == name


def test_a_server_killed_outside_a_load_gets_its_models_again(own_world: World, tmp_path: Path) -> None:
    serve = {name: revision(model(tmp_path / name, name)) for name in ("a", "b")}
    own_world.sidecar.write({name: ConfigEntry(serve=serve[name], gate=True) for name in serve})
    for name, expected in serve.items():
        own_world.sidecar.until_serving(name, expected.digest)
    own_world.server.restart()
    own_world.sidecar.until(lambda r: not r.ready, what="the restart is seen")
    own_world.sidecar.until(lambda r: r.ready, what="it is ready once more")
    for name, expected in serve.items():
        report = own_world.sidecar.until_serving(name, expected.digest)
        assert report.models[name].error is None
        assert own_world.ask(name) == name


@pytest.mark.parametrize("own_world", [15], indirect=True)
def test_a_load_past_its_deadline_has_the_server_restarted(own_world: World, tmp_path: Path) -> None:
    good = revision(model(tmp_path / "good", "good"))
    hangs = revision(model(tmp_path / "hangs", "hangs", initialize=HANGS))
    sidecar = own_world.sidecar
    sidecar.write({"scorer": ConfigEntry(serve=good, gate=True)})
    sidecar.until_serving("scorer", good.digest)
    sidecar.write({"scorer": ConfigEntry(serve=hangs, gate=True)})
    report = sidecar.until(lambda r: _reason(r, "scorer") is Reason.LOAD_TIMED_OUT, what="it timed out")
    assert not report.ready
    # Out of traffic first: the old one answers until the server is killed.
    assert own_world.ask("scorer") == "good"
    wait_until(lambda: sidecar.get("/livez")[0] == 503, what="the liveness probe asks for a restart")
    assert sidecar.get("/readyz")[0] == 503
    # A sidecar that is started meanwhile knows it, too.
    worker = sidecar.worker()
    assert worker is not None
    os.kill(worker, signal.SIGKILL)
    boot = report.seq.partition(".")[0]
    sidecar.until(lambda r: not r.seq.startswith(boot) and not r.ready, what="another worker is unready, too")
    wait_until(lambda: sidecar.get("/livez")[0] == 503, what="it asks for a restart as well")
    own_world.server.restart()
    wait_until(lambda: sidecar.get("/livez")[0] == 200, what="the restart is seen")
    report = sidecar.until(lambda r: r.ready and r.models["scorer"].serving == good.digest, what="the previous is back")
    assert _reason(report, "scorer") is Reason.LOAD_TIMED_OUT
    assert own_world.ask("scorer") == "good"


def test_a_killed_worker_takes_nothing_out(own_world: World, tmp_path: Path) -> None:
    serve, slow = revision(model(tmp_path / "a", "a")), revision(model(tmp_path / "b", "b", initialize=SLOW))
    sidecar = own_world.sidecar
    sidecar.write({"scorer": ConfigEntry(serve=serve, gate=True)})
    before = sidecar.until_serving("scorer", serve.digest)
    sidecar.write({"scorer": ConfigEntry(serve=slow, gate=True)})
    _wait_for_the_call(own_world, times=2)
    worker = sidecar.worker()
    assert worker is not None
    os.kill(worker, signal.SIGKILL)
    ready = []
    end = time.monotonic() + 120
    while (report := sidecar.status()) is None or report.models["scorer"].serving != slow.digest:
        ready.append(sidecar.get("/readyz")[0])
        assert time.monotonic() < end, sidecar.log
    assert set(ready) == {200}
    assert report.seq.partition(".")[0] != before.seq.partition(".")[0]
    report = sidecar.until_serving("scorer", slow.digest)
    assert report.models["scorer"].error is None
    assert own_world.ask("scorer") == "b"


def test_refusals_are_counted_on_over_a_restart(own_world: World, tmp_path: Path) -> None:
    """A sidecar that begins anew to count would keep the agent waiting for a verdict that stands."""
    broken = revision(model(tmp_path / "b", "b", initialize=RAISES))
    sidecar = own_world.sidecar
    sidecar.write({"scorer": ConfigEntry(serve=broken, gate=True)})
    sidecar.until_model("scorer", lambda one: one.error is not None and one.error.permanent, what="a verdict")
    before, worker = sidecar.status(), sidecar.worker()
    assert before is not None
    assert worker is not None
    os.kill(worker, signal.SIGKILL)
    boot = before.seq.partition(".")[0]
    report = sidecar.until(
        lambda r: not r.seq.startswith(boot) and _reason(r, "scorer") is not None, what="another worker is refused"
    )
    error = report.models["scorer"].error
    assert error is not None
    assert (error.permanent, error.retries >= limits.LOAD_ATTEMPTS) == (True, True)


def test_a_killed_supervisor_takes_its_worker_along(own_world: World, tmp_path: Path) -> None:
    serve = revision(model(tmp_path / "a", "a"))
    sidecar = own_world.sidecar
    sidecar.write({"scorer": ConfigEntry(serve=serve, gate=True)})
    sidecar.until_serving("scorer", serve.digest)
    worker = sidecar.worker()
    assert worker is not None
    sidecar.stop(signal.SIGKILL)
    wait_until(lambda: not is_running(worker), what="the worker has ended")
    assert own_world.ask("scorer") == "a"
    sidecar.start()
    report = sidecar.until_serving("scorer", serve.digest)
    assert report.ready
    assert sidecar.log.count(" loading ") == 1, "what is proven is not loaded again"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_end_in_mid_load_blames_nobody(own_world: World, tmp_path: Path, number: signal.Signals) -> None:
    """The sidecar ends during a load, and the server with it, as when a node goes down."""
    serve = revision(model(tmp_path / "a", "a", initialize=SLOW))
    sidecar = own_world.sidecar
    sidecar.write({"scorer": ConfigEntry(serve=serve)})
    _wait_for_the_call(own_world)
    worker = sidecar.worker()
    assert worker is not None
    sidecar.stop(number)
    own_world.server.restart()
    wait_until(lambda: not is_running(worker), what="the worker has ended")
    sidecar.start()
    report = sidecar.until_serving("scorer", serve.digest)
    assert report.models["scorer"].error is None


def test_a_broken_config_at_start_leaves_the_last_entries_in_force(own_world: World, tmp_path: Path) -> None:
    serve = revision(model(tmp_path / "a", "a"))
    sidecar = own_world.sidecar
    sidecar.write({"scorer": ConfigEntry(serve=serve, gate=True)})
    sidecar.until_serving("scorer", serve.digest)
    sidecar.stop()
    (sidecar.config_dir / "model-config.json").unlink()
    own_world.server.restart()
    sidecar.start()
    report = sidecar.until_serving("scorer", serve.digest)
    assert report.config.error is not None
    assert report.config.error.reason is Reason.CONFIG_MISSING
    assert report.ready
