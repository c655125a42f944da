"""The machine at hand and the machines of the list."""

import pytest

from raycluster.errors import ConfigError
from raycluster.executors.machines import MACHINES, at_hand, named, smallest_with


def test_the_machine_at_hand_has_what_it_has() -> None:
    here = at_hand()
    assert here.cores >= 1
    assert here.memory_gib > 0
    assert here.disk_gib > 0
    assert here.usd_hour is here.network_gib_s is None


def test_a_machine_is_known_by_name_or_refused_with_the_names_there_are() -> None:
    assert [named(machine.name) for machine in MACHINES] == list(MACHINES)
    with pytest.raises(ConfigError, match=r"There is no machine 'abacus'; there are m6id\.8xlarge"):
        named("abacus")


def test_the_cheapest_machine_with_enough_memory_is_taken() -> None:
    assert smallest_with(100).name == "m6id.8xlarge"  # type: ignore[union-attr]
    assert smallest_with(300).name == "r6id.32xlarge"  # type: ignore[union-attr]
    assert smallest_with(5000) is None
