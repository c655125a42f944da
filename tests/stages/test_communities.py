"""Trials: how many a configuration has, and that the lowest codelength wins."""

from raycluster.config.stages import CommunitiesConfig
from raycluster.stages.communities import best_trial, trials


class Trials:
    """Tables whose trials ended with these codelengths."""

    def __init__(self, *codelengths: float) -> None:
        self._facts = [{"codelength": codelength} for codelength in codelengths]

    def task_facts(self, stage: str) -> list[dict[str, float]]:
        assert stage == "communities"
        return self._facts


def test_components_have_one_trial():
    assert trials(CommunitiesConfig(trials=5)) == 5
    assert trials(CommunitiesConfig(trials=5, engine="native")) == 5
    assert trials(CommunitiesConfig(trials=5, engine="components")) == 1


def test_the_lowest_codelength_wins_and_ties_go_to_the_lowest_trial():
    assert best_trial(Trials(3.0, 1.0, 1.0, 2.0)) == 1
    assert best_trial(Trials(2.0)) == 0
