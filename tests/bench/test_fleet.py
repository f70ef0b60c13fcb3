"""The repository that `size` measures on: the same each time, and nothing in it that Fresco has anything against."""

from render.load import Loaded, load_file
from render.normal import Wanted, WantedDeployment, WantedServer, accept
from render.plan import files, manifests
from render.settled import settled
from tests.support.fleet import CLUSTER, repository, revised

SMALL = {"servers": 45, "deployments": 300}


def accepted(source: dict[str, bytes]) -> Wanted:
    return accept(Loaded({path: load_file(path, content) for path, content in source.items()}), CLUSTER, None)


def test_equal_arguments_give_equal_bytes() -> None:
    assert repository(**SMALL, seed=3) == repository(**SMALL, seed=3)
    assert repository(**SMALL, seed=3) != repository(**SMALL, seed=4)


def test_all_of_it_is_accepted_without_a_finding() -> None:
    for seed in range(3):
        wanted = accepted(repository(**SMALL, seed=seed))
        assert wanted.repository.findings == ()
        assert (len(wanted.servers), len(wanted.deployments)) == (SMALL["servers"], SMALL["deployments"])
        for one in (*wanted.servers.values(), *wanted.deployments.values()):
            assert isinstance(one, WantedServer | WantedDeployment)
            assert one.findings == ()


def test_it_has_servers_of_every_kind() -> None:
    tree = settled(accepted(repository(**SMALL)))
    names = {path.rpartition("/")[2] for path in manifests(tree) if "/servers/" in path}
    assert {"main-deployment.yaml", "canary-deployment.yaml", "main-autoscaler.yaml"} <= names
    assert {len(one.slices) for one in tree.servers.values()} == {1, 2}
    assert len({path.split("/")[1] for path in files(tree) if path.startswith("status/")}) > 2


def test_a_revised_deployment_is_accepted_as_another_revision() -> None:
    source = repository(**SMALL)
    before = accepted(source)
    path = next(path for path in source if "/deployments/" in path)
    after = accepted({**source, path: revised(source[path], "next")})
    differing = [key for key, one in after.deployments.items() if one != before.deployments[key]]
    (key,) = differing
    old, new = before.deployments[key], after.deployments[key]
    assert isinstance(old, WantedDeployment)
    assert isinstance(new, WantedDeployment)
    assert new.findings == ()
    assert new.model.revision == "next"
    assert new.model.model_hash != old.model.model_hash
