"""Every error has its exit code and survives the way from a worker's process to the driver's."""

import pickle

import pytest

from raycluster import errors
from raycluster.errors import ConfigError, DamagedError, InputError, RayclusterError, ResourceError, StorageError

ERRORS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]


def test_mistakes_of_the_user_end_with_2_and_failures_with_1() -> None:
    codes = {kind: kind.exit_code for kind in ERRORS}
    assert codes == {
        RayclusterError: 1,
        StorageError: 1,
        DamagedError: 1,
        InputError: 2,
        ConfigError: 2,
        ResourceError: 2,
    }


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_is_itself_in_another_process(kind: type[RayclusterError]) -> None:
    error = kind("Row 5 is broken.")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert str(copy) == str(error)
    assert str(copy).startswith("Row 5 is broken")
    assert isinstance(copy, RayclusterError)


def test_damage_has_a_remedy_of_its_own_or_the_usual_one() -> None:
    usual, own = (
        DamagedError("R/a is missing."),
        pickle.loads(pickle.dumps(DamagedError("R/a; b is missing", "restart"))),
    )
    assert str(usual) == "R/a is missing; the command that made the run makes it again."
    assert (own.damage, own.remedy, str(own)) == ("R/a; b is missing", "restart", "R/a; b is missing; restart.")
