"""The rules under random humans, faults and times. After every commit what must always be true is checked.

`make soak` lets it run for as long as asked. A failure that it finds becomes a named case in `test_found.py`.
"""

from dataclasses import replace

import hypothesis.strategies as st
import msgspec
from hypothesis import Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from render import tree
from render.normal import Kept, WantedDeployment, WantedServer
from render.rollout import advance, resume
from schemas.report import Reason
from schemas.resources import Strategy
from schemas.status import Finding, RolloutPolicy, ServerStage, Stage, Tree, Work
from tests.render.rollout import invariants
from tests.render.rollout.invariants import Commit
from tests.support.simulator import SimulatedPod, Update, deployment, model, policy, server, simulate

SERVERS = ("gpu-a", "gpu-b")
PLACES = {"scorer": "gpu-a", "ranker": "gpu-a", "tagger": "gpu-b"}
OFFSETS = {"scorer": 10, "ranker": 20, "tagger": 30}  # of the numbers of their revisions: a digest tells its number
IMAGES = ("triton:1", "triton:2", "triton:3")
POLICIES = (
    policy(),
    policy((10, 60.0), (50, 120.0), bake=600.0),
    policy((100, 30.0)),
    policy((20, 30.0), paused=True),
    policy(strategy=Strategy.EMERGENCY),
)
FINAL = (Stage.ROLLOUT_COMPLETE, Stage.ROLLBACK_COMPLETE)
ENDLESS = (Stage.ROLLBACK_FAILED, Stage.CLEAN_UP_IN_PROGRESS)  # what goes on trying
BROKEN = Finding(file="x.yaml", line=1, column=1, rule="FR001", message="broken")

_LOOKS = 6  # at the same, until nothing is left to decide

names = st.sampled_from(sorted(PLACES))
servers = st.sampled_from(SERVERS)
numbers = st.integers(1, 3)
replicas = st.integers(1, 3)
canaries = st.sampled_from([1, 0, 2])
looks = st.integers(0, 8)  # before the next thing happens
images = st.sampled_from(IMAGES)
updates: st.SearchStrategy[Update] = st.sampled_from(["surge", "replace"])
policies = st.sampled_from(POLICIES)
moves = st.sampled_from([None, None, None, None, ("gpu-a", ""), ("gpu-b", ""), ("gpu-a", "-too"), ("gpu-b", "-too")])


class Humans(RuleBasedStateMachine):
    """What humans commit, how pods behave, and time that goes by."""

    def __init__(self) -> None:
        super().__init__()
        self.simulator = simulate()
        repository = msgspec.structs.replace(self.simulator.wanted.repository, max_servers_at_once=1)
        self.simulator.wanted = replace(self.simulator.wanted, repository=repository, servers={})
        self.simulator.tree = Tree(repository=repository)
        self.simulator.after_commit = self.check
        self.written: dict[str, WantedDeployment] = {}
        self.servers: dict[str, WantedServer] = {}
        self.broken: set[str] = set()
        self.places = {name: (on, name) for name, on in PLACES.items()}
        self.before, self.files = self.simulator.tree, dict[str, bytes]()
        self.urgent: set[str] = set()

    @initialize(main=replicas, canary=canaries, other=canaries, served=st.booleans(), lag=st.booleans())
    def start(self, main: int, canary: int, other: int, served: bool, lag: bool) -> None:
        self.simulator.routes_lag = lag
        self.servers = {
            "gpu-a": server(main=main, canary=canary, image=IMAGES[0]),
            "gpu-b": server(main=2, canary=other, image=IMAGES[0]),
        }
        if served:
            first = {name: model(OFFSETS[name] + 1, name=name, on=on) for name, on in PLACES.items()}
            self.written = {name: deployment(revision, policy(), name=name) for name, revision in first.items()}
        self.publish()
        self.simulator.run()

    # ---- humans

    @rule(name=names, number=numbers, how=policies, attempt=st.integers(0, 1), to=moves, then=looks)
    def commit(
        self, name: str, number: int, how: RolloutPolicy, attempt: int, to: tuple[str, str] | None, then: int
    ) -> None:
        """A revision where it was, or elsewhere: on a server, and under its name with an ending."""
        if to is not None:
            self.places[name] = (to[0], name + to[1])
        on, served = self.places[name]
        revision = model(OFFSETS[name] + number, name=served, on=on, attempt=attempt)
        self.written[name] = deployment(revision, how, name=name)
        self.publish()
        self.go_on(then, 0.6)

    @precondition(lambda self: self.written)
    @rule(name=names, how=policies)
    def change_policy(self, name: str, how: RolloutPolicy) -> None:
        if name in self.written:
            self.written[name] = replace(self.written[name], rollout=how)
            self.publish()

    @rule(name=names, then=looks)
    def revert(self, name: str, then: int) -> None:
        """To what is current, where that is."""
        status = self.simulator.tree.deployments.get(f"fraud/{name}")
        if status is not None and status.current is not None:
            self.places[name] = (status.current.server, status.current.name)
            self.written[name] = deployment(status.current, policy(), name=name)
            self.publish()
            self.go_on(then, 0.6)

    @rule(name=names)
    def delete(self, name: str) -> None:
        self.written.pop(name, None)
        self.publish()

    @rule(name=st.sampled_from([*PLACES, *SERVERS]))
    def spoil(self, name: str) -> None:
        self.broken ^= {name}
        self.publish()

    @rule(name=servers, main=replicas, canary=canaries, image=images, update=updates, then=looks)
    def commit_server(self, name: str, main: int, canary: int, image: str, update: Update, then: int) -> None:
        self.servers[name] = server(main=main, canary=canary, image=image, update=update)
        self.publish()
        self.go_on(then, 0.6)

    @rule(name=servers)
    def delete_server(self, name: str) -> None:
        self.servers.pop(name, None)
        self.publish()

    # ---- pods

    @rule(name=names, number=numbers, reason=st.sampled_from([Reason.LOAD_FAILED, Reason.DIGEST_MISMATCH]))
    def fail(self, name: str, number: int, reason: Reason) -> None:
        digest = model(OFFSETS[name] + number).digest
        status = self.simulator.tree.deployments.get(f"fraud/{name}")
        current = status.current.digest if status is not None and status.current is not None else None
        if digest != current:  # what serves keeps serving
            self.simulator.faults[digest] = reason

    @rule(image=st.sampled_from(IMAGES[1:]), name=st.none() | names, number=numbers, on=servers)
    def break_image(self, image: str, name: str | None, number: int, on: str) -> None:
        """An image that no server starts with, or not with one model; and somebody who asks for it."""
        current = {one.current.image for one in self.simulator.tree.servers.values() if one.current is not None}
        if image in current:
            return
        if name is None:
            self.simulator.broken.add(image)
        else:
            self.simulator.breaks.setdefault(image, set()).add(model(OFFSETS[name] + number).digest)
        if on in self.servers:
            self.commit_server(on, 2, 1, image, "surge", 4)

    @precondition(lambda self: self.pods())
    @rule(pick=st.integers(0, 99), how=st.sampled_from(["silent", "behind"]), on=st.booleans())
    def misbehave(self, pick: int, how: str, on: bool) -> None:
        setattr(self.pods()[pick % len(self.pods())], how, on)

    @rule(on=st.booleans())
    def ask(self, on: bool) -> None:
        """Requests that take their time, on all pods; or no more of them."""
        for pod in self.pods():
            pod.busy = on

    @precondition(lambda self: self.pods())
    @rule(pick=st.integers(0, 99), how=st.sampled_from(["crash", "lose"]))
    def hurt(self, pick: int, how: str) -> None:
        getattr(self.simulator, how)(self.pods()[pick % len(self.pods())])

    @rule(held=st.booleans())
    def gateway(self, held: bool) -> None:
        self.simulator.routes_held = held
        if not held and self.simulator.applied is not None:
            self.simulator.take_routes()

    # ---- the agent, and time

    @rule(times=st.integers(1, 6))
    def look(self, times: int) -> None:
        for _ in range(times):
            self.simulator.step()

    @rule(times=st.integers(1, 6), seconds=st.sampled_from([0.6, 61.0]))
    def go_on(self, times: int, seconds: float) -> None:
        """Most of the time nothing happens but what is in hand."""
        for _ in range(times):
            self.simulator.now += seconds
            self.simulator.step()

    @rule(seconds=st.sampled_from([0.1, 1.0, 30.0, 700.0]))
    def wait(self, seconds: float) -> None:
        self.simulator.now += seconds
        self.simulator.step()

    @rule()
    def lose_a_race(self) -> None:
        """What was decided is not written: another one was faster."""
        advance(self.simulator.tree, self.simulator.wanted, self.simulator.observe())

    @rule(seconds=st.sampled_from([10.0, 3600.0]), rounds=st.integers(0, 5))
    def be_away(self, seconds: float, rounds: int) -> None:
        """The agent is killed; the cluster goes on. The next one reads its status, and sees everything once."""
        simulator, began = self.simulator, self.simulator.now
        for _ in range(rounds):
            simulator.roll()
        simulator.now += seconds
        known = tree.read({path: content for path, content in self.files.items() if tree.is_status(path)})
        assert known is None or known == simulator.tree
        simulator.complete = False
        simulator.step()
        simulator.complete = True
        simulator.step(resume(simulator.tree, began, simulator.now))

    @rule()
    def settle(self) -> None:
        """(3) Without faults and news everything that no human holds comes to an end."""
        simulator = self.simulator
        simulator.faults.clear()
        simulator.broken.clear()
        simulator.breaks.clear()
        self.broken.clear()
        for name, one in self.written.items():
            self.written[name] = replace(one, rollout=msgspec.structs.replace(one.rollout, paused=False))
        self.publish()
        for pod in self.pods():
            pod.silent = pod.busy = pod.behind = False
            pod.crashed = pod.crashed or not pod.live
        self.gateway(False)
        simulator.run(limit=400)
        for name, one in self.written.items():
            status = simulator.tree.deployments[f"fraud/{name}"]
            kept = isinstance(simulator.wanted.deployments[f"fraud/{name}"], Kept)
            held = kept and (status.current is None or (status.rollout is not None and status.rollout.paused))
            assert held or (status.stage in FINAL and status.progress is None), status
            assert kept or status.failed is not None or status.current == one.model, status
        for name, wanted in self.servers.items():
            on = simulator.tree.servers[f"fraud/{name}"]
            assert (on.progress, on.candidate, on.stage) == (None, None, ServerStage.SERVE), on
            assert wanted.template in (on.current, on.failed.template if on.failed is not None else None)
            assert set(on.slices) == set(wanted.replicas)

    @rule()
    def endure(self) -> None:
        """(3) Without news everything that no human holds ends within its deadlines, whatever is broken."""
        simulator = self.simulator
        for pod in self.pods():
            pod.silent = pod.busy = False
        self.gateway(False)
        simulator.run(limit=400)
        held = [one for one in simulator.tree.deployments.values() if one.progress is not None]
        if not any(one.rollout is not None and one.rollout.paused for one in held):
            assert all(one.stage in ENDLESS for one in held), held
            servers = [one.progress for one in simulator.tree.servers.values() if one.progress is not None]
            assert not [one for one in servers if one.work is Work.ROLLOUT and one.step != "turn"], servers

    # ---- what is checked

    @invariant()
    def comes_to_rest(self) -> None:
        """Looking again and again at the same changes nothing more, and between commits nothing goes wrong either."""
        seen, now = self.simulator.observe(), self.simulator.tree
        for _ in range(_LOOKS):
            now = advance(now, self.simulator.wanted, seen).tree
        assert advance(now, self.simulator.wanted, seen).tree is now, "it never comes to rest"
        invariants.requests_meet_what_the_step_allows(self.simulator, self.urgent)
        invariants.routed_models_are_served(self.simulator)

    def check(self) -> None:
        """After every commit."""
        after = self.simulator.tree
        for name, status in after.deployments.items():
            if invariants.is_emergency(status):
                self.urgent.add(name)
            elif status.progress is None:
                self.urgent.discard(name)
        commit = Commit(self.before, after, self.simulator, self.files, frozenset(self.urgent))
        self.files = invariants.check(commit)
        self.before = after
        self.publish()  # what is accepted depends on what there is

    # ---- small parts

    def pods(self) -> list[SimulatedPod]:
        return [pod for pods in self.simulator.pods.values() for pod in pods]

    def publish(self) -> None:
        """What the humans' branch says now: broken files, and Deployments without a server, keep what was accepted."""
        there = {name.partition("/")[2] for name in self.simulator.tree.servers}
        known = {name for name in self.servers if name in there or name not in self.broken}
        kept = Kept((BROKEN,))
        self.simulator.wanted = replace(
            self.simulator.wanted,
            servers={f"fraud/{name}": kept if name in self.broken else one for name, one in self.servers.items()},
            deployments={
                f"fraud/{name}": kept if name in self.broken or one.model.server not in known else one
                for name, one in self.written.items()
            },
        )


TestHumans = Humans.TestCase
TestHumans.settings = settings(
    max_examples=60, stateful_step_count=60, deadline=None, phases=(Phase.explicit, Phase.generate, Phase.shrink)
)
