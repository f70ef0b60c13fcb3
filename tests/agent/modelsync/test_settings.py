"""The sidecar's settings: from the environment, from flags that win, and with a clear word on what is wrong."""

from pathlib import Path

import pytest

from agent.modelsync.settings import parse
from schemas import limits

ENVIRONMENT = {"FRESCO_POD": "p", "FRESCO_NAMESPACE": "fraud", "FRESCO_SERVER": "gpu-a"}


def test_defaults_and_the_environment() -> None:
    settings = parse([], {**ENVIRONMENT, "FRESCO_MODELS_DIR": "/m", "FRESCO_LOAD_THREADS": "2"})
    assert (settings.pod, settings.slice, settings.models_dir) == ("p", "main", Path("/m"))
    assert (settings.load_threads, settings.load_deadline) == (2, limits.LOAD_DEADLINE)


def test_flags_win() -> None:
    settings = parse(["--pod=q", "--slice=canary"], ENVIRONMENT)
    assert (settings.pod, settings.slice) == ("q", "canary")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"FRESCO_POD": ""}, "FRESCO_POD is required"),
        ({"FRESCO_SLICE": "blue"}, "expected main or canary, got 'blue'"),
        ({"FRESCO_LOAD_THREADS": "many"}, "a number was expected"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse([], {**ENVIRONMENT, **changes})
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
