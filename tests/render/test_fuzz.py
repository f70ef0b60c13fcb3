"""`fresco validate` has an answer to everything; `make fuzz` asks for longer."""

from hypothesis import HealthCheck, given, settings

from tests.support.fuzzing import Repository, any_bytes, check, mutated, structures

SAMPLE = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@SAMPLE
@given(any_bytes())
def test_any_bytes_have_an_answer(files: Repository) -> None:
    check(files)


@SAMPLE
@given(mutated())
def test_any_slip_of_the_pen_has_an_answer(files: Repository) -> None:
    check(files)


@SAMPLE
@given(structures())
def test_any_values_have_an_answer(files: Repository) -> None:
    check(files)
