"""The sets of a training, labelled and generated, each with a run of its own."""

import dataclasses
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from raycluster.config.execution import Execution
from raycluster.config.fingerprint import fingerprint
from raycluster.config.networks import TrainingConfig
from raycluster.config.stages import Config
from raycluster.errors import ConfigError
from raycluster.evaluation.truth import UNKNOWN
from raycluster.executors.progress import Progress
from raycluster.models.card import TrainingSet
from raycluster.pipeline.run import opened, run_stages
from raycluster.storage.object_store import Store
from raycluster.synthetic import varied as generated
from raycluster.training.calibrated_limits import can_calibrate
from raycluster.training.labelled_set import LabelledSet, open_set
from raycluster.training.worker import SetFolder

MOST_CALIBRATION_SETS = 48
"""Varied sets that limits are read from: each costs a partition per limit that is tried. Raising it steadies eta and takes
in proportion longer."""


@dataclass(frozen=True)
class LabelledInput:
    """One set to train on."""

    url: str
    label_column: str
    is_generated: bool = False
    """Whether its columns are called as the generator calls them, whatever the user's are called."""
    is_varied: bool = False
    """Whether it is a set of `training.varied`."""


def write_sets(urls: Sequence[str], label_column: str, training: TrainingConfig, work: str) -> list[LabelledInput]:
    """Return the sets of a training; generated ones are written first, once.

    Parameters
    ----------
    urls
        The user's labelled sets.
    label_column
        Their column with the true identity.
    training
        How many rows and sets are generated, and the seed.
    work
        Folder that holds the generated sets.

    Returns
    -------
    list of LabelledInput
        The user's, then the generated, the varied ones last.
    """
    sets = [LabelledInput(url, label_column) for url in urls]
    if training.generated:
        folders = generated.write(f"{work}/generated", training.generated, training.seed)
        sets += [LabelledInput(url, "label", is_generated=True) for url in folders]
    if training.varied:
        folders = generated.write_varied(f"{work}/varied", training.varied, training.seed)
        sets += [LabelledInput(url, "label", is_generated=True, is_varied=True) for url in folders]
    return sets


class SetRuns:
    """The runs of a training's sets, as far as its steps need them.

    The stages are those of the main job.

    Parameters
    ----------
    sets
        The sets, the varied ones last.
    training
        Seed and folds of the split by identity.
    work
        Folder that holds the runs.
    execution
        Where stages run.
    progress
        What people see.
    """

    def __init__(
        self,
        sets: Sequence[LabelledInput],
        training: TrainingConfig,
        work: str,
        execution: Execution,
        progress: Progress,
    ) -> None:
        self.sets, self.training, self.work, self.progress = sets, training, work, progress
        # every step has the model of the step before, so a run folder changes its configuration
        self.execution = dataclasses.replace(execution, replan=True)
        self._open = ExitStack()

    def __enter__(self) -> "SetRuns":
        return self

    def __exit__(self, *_: object) -> None:
        """Remove this node's copies of all runs."""
        self._open.close()

    def run_until(self, stage: str, config: Config, chosen: Sequence[int] | None = None) -> list[LabelledSet]:
        """Run the sets up to a stage.

        Parameters
        ----------
        stage
            Name of the last stage.
        config
            The recipe, with the model that its stages up to this one read.
        chosen
            Numbers of the sets; None runs all.

        Returns
        -------
        list of LabelledSet
            The chosen sets.
        """
        labelled = []
        for number in range(len(self.sets)) if chosen is None else chosen:
            one = self.sets[number]
            # Copies may have labels of their own, so every row keeps its place.
            own = dataclasses.replace(config, embeddings=dataclasses.replace(config.embeddings, duplicates="keep"))
            if one.is_generated:
                own = dataclasses.replace(own, id_column="id", embedding_column="embedding")
            run = opened(one.url, self._folder(number), own, self.execution, self.progress)
            tables = self._open.enter_context(run)
            run_stages(tables, self.execution, self.progress, until=stage)
            labelled.append(open_set(tables, one.label_column, self.training.seed, self.training.folds))
        _require_equal_lists(labelled)
        return labelled

    def folders(self) -> tuple[SetFolder, ...]:
        """Return where the runs lie, for the workers that fit networks."""
        return tuple(
            SetFolder(self._folder(number), one.label_column, one.is_varied) for number, one in enumerate(self.sets)
        )

    def to_calibrate_on(self, sets: Sequence[LabelledSet], has_base: bool) -> list[int]:
        """Return the numbers of the sets that probabilities and limits are read from.

        They are the sets that are not varied. Where their labels may be few, only those with enough count. Without any, a
        base model keeps its calibration; without a base model some varied sets serve, evenly chosen.
        """
        may_be_few = has_base or self.training.varied > 0
        plain = [number for number, one in enumerate(self.sets) if not one.is_varied]
        chosen = [number for number in plain if not may_be_few or can_calibrate(sets[number])]
        if chosen or has_base:
            return chosen
        step = -(-(len(sets) - len(plain)) // MOST_CALIBRATION_SETS)
        return list(range(len(plain), len(sets), step))

    def describe(self, sets: Sequence[LabelledSet]) -> list[TrainingSet]:
        """Return the card's entry of every set."""
        return [
            TrainingSet(
                url=labelled.tables.name.removeprefix(f"{Store(self.work).url}/"),
                rows=labelled.tables.rows,
                identities=len(np.unique(labelled.identity[labelled.identity != UNKNOWN])),
                width=labelled.vectors.shape[1],
                fingerprint=fingerprint(labelled.tables.folder.plan.input.identity),
            )
            for labelled in sets
        ]

    def _folder(self, number: int) -> str:
        return f"{self.work}/set-{number}"


def _require_equal_lists(sets: Sequence[LabelledSet]) -> None:
    """Raise ConfigError where a set is too small for the neighbors of the others.

    Networks take lists of one length.
    """
    shortest = min(sets, key=lambda one: one.neighbor.shape[1], default=None)
    longest = max((one.neighbor.shape[1] for one in sets), default=0)
    if shortest is not None and (width := shortest.neighbor.shape[1]) < longest:
        raise ConfigError(
            f"{shortest.tables.name} has {shortest.tables.rows} rows, so its lists hold {width} neighbors, but those of other "
            f"sets hold {longest}; pass --knn.k {width}, or leave the set out."
        )
