"""Every program killed, or stopped for a while, at every stage of a Deployment's life; what is true afterwards.

No request may fail but those that a killed gateway would have answered: while Envoy is away nobody listens. All other
faults cost time alone, and this is why:

- the agent, the node and the sidecars are in no request's way;
- a server that is killed resets its connections, and Envoy sends those requests again to the next ready pod;
- a server that is stopped, or Envoy that is, keeps its connections and answers late, within a client's patience. One
  that is stopped for longer gets no more requests once its sidecar has found that out, which takes about ten seconds.

A server that is killed while it loads the candidate looks as if that had killed it: the candidate may then be
refused as quarantined. Everything else ends as if nothing had happened.
"""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from typing import Final

from schemas.report import Reason
from schemas.status import DeploymentStatus, Stage
from tests.e2e import artifacts, processes, repository
from tests.e2e.artifacts import Artifact
from tests.e2e.world import SUBJECT, World

SECONDS: Final = 150.0  # for a Deployment to end, fault and all; generous, nothing is timed
OTHER: Final = "passing"  # the Deployment that comes and goes
_FORWARD: Final = (Stage.ASSET_PREPARATION, Stage.RESOURCE_ACQUISITION, Stage.TRAFFIC_ROUTING, Stage.ROLLOUT_COMPLETE)
_BACK: Final = (Stage.ROLLBACK_IN_PROGRESS, Stage.ROLLBACK_COMPLETE)
STAGES: Final = (Stage.VALIDATION, *_FORWARD, *_BACK, Stage.CLEAN_UP_IN_PROGRESS)


class Program(StrEnum):
    """What can be killed or stopped."""

    AGENT = "agent"
    NODE = "node"
    SIDECAR = "model-sync"
    SERVER = "server"
    GATEWAY = "gateway"


class Fault(StrEnum):
    """What is done to it: `kill -9`, or SIGSTOP and after a while SIGCONT."""

    KILL = "kill"
    STOP = "stop"


# The agent's is longer than a gap in observation, the others' longer than a probe waits.
_STOPPED: Final = {program: 6.5 if program is Program.AGENT else 3.0 for program in Program}


@dataclass(frozen=True, slots=True)
class Trial:
    """One fault to one program at one stage."""

    program: Program
    fault: Fault
    stage: Stage

    def __str__(self) -> str:
        return f"{self.fault} {self.program} at {self.stage}"

    @property
    def revision(self) -> str:
        """A name for what is rolled out meanwhile."""
        return str(self).replace(" ", "-").lower()

    @property
    def may_refuse(self) -> bool:
        """Whether the candidate may be taken for the culprit."""
        return (self.program, self.fault) == (Program.SERVER, Fault.KILL)


def trials() -> list[Trial]:
    """All of them."""
    return [Trial(program, fault, stage) for program, fault, stage in product(Program, Fault, STAGES)]


def sample(seed: int) -> list[Trial]:
    """One for each program, at different stages, kills and stops by turns."""
    dice = random.Random(seed)
    stages = dice.sample(STAGES, len(Program))
    faults = [list(Fault)[(number + dice.randrange(2)) % 2] for number in range(len(Program))]
    return [Trial(program, fault, stage) for program, fault, stage in zip(Program, faults, stages, strict=True)]


def suffer(world: World, trial: Trial, dice: random.Random) -> None:
    """Leads a Deployment through the stage of `trial` and strikes there. It ends as it should."""
    strike = _strike(world, trial, dice)
    if trial.stage is Stage.VALIDATION:
        _accept(world, trial, strike)
    elif trial.stage in _FORWARD:
        _roll_out(world, trial, strike)
    elif trial.stage in _BACK:
        _roll_back(world, trial, strike)
    else:
        _clean_up(world, trial, strike)


# ---- the ways of a Deployment

_Strike = Callable[[], None]


def _accept(world: World, trial: Trial, strike: _Strike) -> None:
    """It waits in Validation for its digest."""
    fresco, model = world.fresco, world.fresco.model(trial.revision)
    whole = repository.deployment(OTHER, model)
    path = repository.path_of("deployments", OTHER)
    fresco.commit({path: whole.replace(f"    digest: {model.digest}\n", "")})
    fresco.until(lambda: fresco.status(OTHER) is not None, f"{trial}: it is known")
    strike()
    fresco.commit({path: whole})
    _until_end(world, OTHER, model, trial)
    fresco.commit({path: None})
    fresco.until(lambda: fresco.status(OTHER) is None, f"{trial}: it is gone", seconds=SECONDS)


def _roll_out(world: World, trial: Trial, strike: _Strike) -> None:
    model = world.fresco.model(trial.revision)
    world.load.expect(world.good.revision, model.revision)
    world.fresco.deploy(SUBJECT, model)
    _until_stage(world, SUBJECT, model, _FORWARD[_FORWARD.index(trial.stage) :] + _BACK, trial)
    strike()
    if _until_end(world, SUBJECT, model, trial):
        world.settle(model)
    else:
        world.load.expect(world.good.revision)


def _roll_back(world: World, trial: Trial, strike: _Strike) -> None:
    bad = world.fresco.model(trial.revision, artifacts.RAISES)
    world.fresco.deploy(SUBJECT, bad)
    _until_stage(world, SUBJECT, bad, _BACK[_BACK.index(trial.stage) :], trial)
    strike()
    status = world.until_refused(bad)
    assert status.failed is not None


def _clean_up(world: World, trial: Trial, strike: _Strike) -> None:
    fresco, model = world.fresco, world.fresco.model(trial.revision)
    fresco.deploy(OTHER, model, strategy="emergency", reason="it is to be there soon")
    _until_end(world, OTHER, model, trial)
    fresco.commit({repository.path_of("deployments", OTHER): None})

    def is_going() -> bool:
        status = fresco.status(OTHER)
        return status is None or status.stage is trial.stage

    fresco.until(is_going, f"{trial}: it goes")
    strike()
    fresco.until(lambda: fresco.status(OTHER) is None, f"{trial}: it is gone", seconds=SECONDS)


def _until_stage(world: World, name: str, model: Artifact, stages: tuple[Stage, ...], trial: Trial) -> None:
    """Waits until the Deployment's work on `model` is at one of `stages`: a short one may be over when it is seen."""

    def there() -> bool:
        status = world.fresco.status(name)
        return status is not None and status.stage in stages and model.revision in _revisions(status)

    world.fresco.until(there, f"{trial}: the stage", seconds=SECONDS)


def _until_end(world: World, name: str, model: Artifact, trial: Trial) -> bool:
    """Waits until nothing is in hand any more. Whether `model` serves; if not, it may be for the fault alone."""

    def ended() -> bool:
        status = world.fresco.status(name)
        if status is None or status.progress is not None:
            return False
        done = status.stage is Stage.ROLLOUT_COMPLETE and _label(status.current) == model.revision
        return done or (status.stage is Stage.ROLLBACK_COMPLETE and _label(status.failed) == model.revision)

    world.fresco.until(ended, f"{trial}: {name} {model.revision} has ended", seconds=SECONDS)
    status = world.fresco.status(name)
    assert status is not None
    if status.failed is None or status.failed.revision != model.revision:
        return True
    assert trial.may_refuse, f"{trial}: {status.failed.message}"
    assert status.failed.reason == Reason.QUARANTINED, f"{trial}: {status.failed}"
    return False


def _revisions(status: DeploymentStatus) -> set[str | None]:
    return {_label(one) for one in (status.candidate, status.current, status.failed)}


def _label(revision: object) -> str | None:
    return getattr(revision, "revision", None)


# ---- the fault


def _strike(world: World, trial: Trial, dice: random.Random) -> _Strike:
    fresco = world.fresco
    pod = dice.choice([*fresco.pods("main"), *fresco.pods("canary")])
    find: dict[Program, Callable[[], int | None]] = {
        Program.AGENT: fresco.pid_of_agent,
        Program.NODE: fresco.pid_of_node,
        Program.SIDECAR: lambda: fresco.pid_in_pod(pod, "model-sync"),
        Program.SERVER: lambda: fresco.pid_in_pod(pod, "server"),
        Program.GATEWAY: fresco.pid_of_gateway,
    }

    def strike() -> None:
        pid = fresco.until_pid(find[trial.program])
        if trial.fault is Fault.KILL:
            _kill(world, trial.program, pid, find[trial.program])
        else:
            pids = fresco.pids_of_sidecar(pod) if trial.program is Program.SIDECAR else [pid]
            with stopped(*pids):
                time.sleep(_STOPPED[trial.program])  # this is the fault, and waits for nothing

    return strike


def _kill(world: World, program: Program, pid: int, find: Callable[[], int | None]) -> None:
    with world.gateway_down() if program is Program.GATEWAY else nullcontext():
        processes.kill(pid)
        world.fresco.until_pid(find, other_than=pid)
        if program is Program.GATEWAY:
            world.answers_go_on()


@contextmanager
def stopped(*pids: int) -> Iterator[None]:
    """These processes are stopped while the block runs."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
