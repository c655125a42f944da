"""The training job: labelled sets in, a model folder out.

`Job.run` takes these steps, and a killed job goes on at the one where it was:

    1  write the generated sets                       6  fit the relation predictor
    2  search the neighbors of every set              7  score the neighbors of the calibration sets
    3  fit the adaptive filter, or take another's     8  calibrate probabilities: slope and intercept
    4  measure how near its Top-K is                  9  calibrate the limit of edges: eta or closeness
    5  calibrate the walk: theta and floor           10  fit the weights of strength

Neighbors, Top-K, scores, edges, communities and re-joining come from the stages that runs use.
"""

import dataclasses
import os
import time
from dataclasses import asdict, dataclass, field

import torch

from raycluster.config.execution import Execution
from raycluster.config.fingerprint import fingerprint
from raycluster.config.networks import TrainingConfig
from raycluster.config.stages import Config
from raycluster.errors import ConfigError
from raycluster.evaluation.truth import require_labels
from raycluster.executors.progress import Progress
from raycluster.models import card as folder
from raycluster.models.build import NetworkName
from raycluster.models.card import Card, TrainingSet, load_card
from raycluster.storage.object_store import Store
from raycluster.storage.parquet_input import describe_input
from raycluster.storage.tables import Facts
from raycluster.training.base_model import BaseModel
from raycluster.training.calibrated_limits import early_stop_limits, filter_confidence, filter_line, score_limit
from raycluster.training.destination import require_own
from raycluster.training.draft import Draft
from raycluster.training.fit_strength import fit_strength
from raycluster.training.joint_limits import (
    NO_WALK,
    eta_curve,
    fits_jointly,
    is_published,
    joint_limits,
    published_limits,
)
from raycluster.training.labelled_set import LabelledSet
from raycluster.training.probabilities import fit_probabilities
from raycluster.training.sets import SetRuns, write_sets
from raycluster.training.standing import Standing, StoredStanding
from raycluster.training.worker import FitRequest, best_state, fit_network, progress_line


@dataclass(frozen=True)
class TrainingRequest:
    """What to train, and where to write it."""

    input: tuple[str, ...]
    """URLs of the labelled sets."""
    output: str
    """Model folder."""
    config: Config
    """The recipe that the model is for."""
    training: TrainingConfig
    """How its networks are built and fitted."""
    execution: Execution = field(default_factory=Execution)
    label_column: str = "label"
    """Column with the true identity."""
    base_model: str | None = None
    """Model to start from."""


def train_model(request: TrainingRequest) -> Facts:
    """Train, calibrate and write a model; return its metrics, thresholds and time.

    Raises InputError and ConfigError for what the user can mend, and RayclusterError where the loss is not finite.
    """
    progress = Progress()
    _check(request)
    base = _base_model(request)
    purpose = _purpose(request, base)
    require_own(request.output, request.input)
    store = Store(request.output)
    if store.get(folder.CARD) is not None:
        card, _ = load_card(request.output)
        if card.metrics.get("purpose") != purpose:
            raise ConfigError(f"{request.output} holds a model of another training; choose another --output.")
        progress.say(f"{request.output} is complete")
        return _summary(request.output, card)
    card = Job(request, base, purpose, progress).run()
    store.delete_below(f"work/{purpose}")
    store.remove_empty_folders("work")
    return _summary(request.output, card)


def _check(request: TrainingRequest) -> None:
    """Refuse what cannot be trained before anything is written."""
    predictor, k = request.training.predictor, request.config.knn.k
    if not request.input and (request.base_model or not request.training.varied):
        raise ConfigError(f"The recipe {request.config.recipe} learns from labelled sets: give --input.")
    if predictor.encodes and predictor.hop2 >= k:
        raise ConfigError(f"training.predictor.hop2 is {predictor.hop2}: it must be below knn.k, which is {k}.")


def _base_model(request: TrainingRequest) -> BaseModel | None:
    """Return the model to start from, if any, whose networks must be built alike."""
    if request.base_model is None:
        return None
    base, training = BaseModel.open(request.base_model), request.training
    if training.filter.network != "none" and training.filter.source is None:
        base.require("filter", training, request.config.knn.k)
    if training.predictor.form != "none":
        base.require("predictor", training, request.config.knn.k)
    return base


def _purpose(request: TrainingRequest, base: BaseModel | None) -> str:
    """Return the fingerprint of everything that decides the model."""
    for url in request.input:
        require_labels(url, request.label_column)
    described = [[asdict(file) for file in describe_input(url).files] for url in request.input]
    started = [] if base is None else [base.digest]
    return fingerprint(described, request.config, request.training, request.label_column, *started)


def _summary(url: str, card: Card) -> Facts:
    networks = {name: entry.parameters for name, entry in card.networks.items()}
    return {
        "model": url, "recipe": card.recipe, "parameters": networks, "thresholds": card.thresholds,
        "metrics": card.metrics, "seconds": card.seconds,
    }  # fmt: skip


class Job:
    """One training.

    Parameters
    ----------
    request
        What to train.
    base
        The model to start from, if any.
    purpose
        Fingerprint of the training, which names its work folder.
    progress
        What people see.
    """

    def __init__(self, request: TrainingRequest, base: BaseModel | None, purpose: str, progress: Progress) -> None:
        self.request, self.base, self.purpose, self.progress = request, base, purpose, progress
        self.config, self.training = request.config, request.training
        self.work = f"{request.output}/work/{purpose}"

    def run(self) -> Card:
        """Take all steps; return the card of the written model."""
        began = time.perf_counter()
        sets = write_sets(self.request.input, self.request.label_column, self.training, self.work)
        with SetRuns(sets, self.training, self.work, self.request.execution, self.progress) as runs:
            draft = self._trained(runs)
        return draft.save(self.request.output, round(time.perf_counter() - began, 1))

    def _trained(self, runs: SetRuns) -> Draft:
        """Return the finished model: steps 2 to 10."""
        say, sets = self.progress.say, runs.run_until("knn", _without_model(self.config))
        draft = self._begun(runs.describe(sets))
        if self.training.filter.network != "none":
            draft = self._with_filter(draft, runs)
            sets = runs.run_until("topk", self._with_model(draft, "filter"))
            confidence, quality = filter_confidence(sets, self.training.filter.beta)
            draft = draft.adding(confidence=confidence, metrics={"filter": quality})
            say(filter_line(quality))
        if self.config.edges.rule == "early-stop":
            draft = self._with_walk(draft, sets)
        if self.training.predictor.form == "none":
            return draft
        chosen = runs.to_calibrate_on(sets, has_base=self.base is not None)
        draft = self._fitted("predictor", draft, runs)
        return self._calibrated(draft, runs, chosen) if chosen else self._with_base_calibration(draft)

    def _begun(self, data: list[TrainingSet]) -> Draft:
        """Return a draft of the data alone.

        Raises ConfigError for sets of several widths where a network reads vectors.
        """
        metrics: Facts = {"purpose": self.purpose}
        if self.base:
            metrics["from"] = {"model": self.base.url, "digest": self.base.digest}
        draft = Draft(self.config, self.training, data=data, metrics=metrics)
        if not self.training.reads_vectors:
            return draft
        if len(widths := sorted({entry.width for entry in data})) > 1:
            raise ConfigError(
                f"The sets are of widths {', '.join(map(str, widths))}, and recipe {self.config.recipe} reads "
                "vectors; train on sets of one width, or a recipe with gram tokens."
            )
        if self.base:
            self.base.require_width(widths[0])
        return dataclasses.replace(draft, embedding_width=widths[0])

    def _with_filter(self, draft: Draft, runs: SetRuns) -> Draft:
        """Return the draft with an adaptive filter: another model's, or a fitted one."""
        if self.training.filter.source is None:
            return self._fitted("filter", draft, runs)
        other = BaseModel.open(self.training.filter.source)
        other.require("filter", self.training, self.config.knn.k)
        other.require_width(draft.embedding_width)
        return draft.adding(tensors={"filter": other.weights("filter")})

    def _fitted(self, network: NetworkName, draft: Draft, runs: SetRuns) -> Draft:
        """Return the draft with a fitted network; a killed fit goes on."""
        start = f"{self.work}/{network}-start"
        weights = self.base.weights(network) if self.base else None
        dataclasses.replace(draft, tensors={} if weights is None else {network: weights}).save(start)
        request = FitRequest(network, runs.folders(), start, self.work)
        execution, say = self.request.execution, self.progress.say
        workers, kind = execution.workers or 1, execution.accelerator
        is_auto = execution.executor == "auto" and (workers > 1 or bool(os.environ.get("RAY_ADDRESS")))
        on_ray = execution.executor == "ray" or is_auto
        device, store = torch.device("cuda" if torch.cuda.is_available() else "cpu"), Store(self.work)
        fit = (self.training.filter if network == "filter" else self.training.predictor).fit
        standing = StoredStanding(network, fit.steps, store=store) if on_ray else Standing(network)
        with self.progress.shown(standing):
            if on_ray:
                from raycluster.executors.ray_train import fit_on_ray

                fit_on_ray(fit_network, request, workers=workers, accelerator=kind, store=store, name=network)
            else:
                fit_network(request, 0, 1, device, lambda entry: say(progress_line(network, entry)), standing)
        tensors, history = best_state(self.work, network)
        say(f"{network} fitted; {progress_line(network, max(history, key=lambda entry: entry['score']))}")
        return draft.adding(tensors={network: tensors}, history={network: history})

    def _calibrated(self, draft: Draft, runs: SetRuns, chosen: list[int]) -> Draft:
        """Return the draft with probabilities, limit and strength from the chosen sets."""
        say = self.progress.say
        if fits_jointly(self.config, self.training):  # every pair from the floor on has a score: any walk can be tried
            draft = draft.adding(thresholds={"theta": NO_WALK})
        sets = runs.run_until("relations", self._with_model(draft, "predictor"), chosen)
        fitted = fit_probabilities(sets)
        draft = draft.adding(
            thresholds={"slope": fitted.slope, "intercept": fitted.intercept},
            curves={"reliability": fitted.reliability, "edges": fitted.edge_curve},
        )
        config, theta = self._with_model(draft, "calibrated"), draft.thresholds.get("theta")
        if fits_jointly(self.config, self.training):
            floor = draft.thresholds["floor"]
            limit, curve, quality = joint_limits(sets, fitted.scores, config, floor, say)
            draft = draft.adding(curves={"surface": curve})
            curve = eta_curve(curve, limit)
        else:
            limit, curve, quality = score_limit(sets, fitted.scores, config, theta, say)
            if is_published(self.config, self.training):
                limit = {"eta": draft.thresholds["eta"]}
        urls = [draft.data[number].url for number in chosen]
        draft = draft.adding(
            thresholds=limit,
            curves={name: curve for name in limit if name in ("eta", "closeness")},
            metrics={"predictor": {**quality, **fitted.metrics, "calibrated_on": urls}},
        )
        if self.config.relations.score != "all":
            return draft
        config, form = self._with_model(draft, "limited"), self.training.predictor.form
        weights, table, quality = fit_strength(sets, fitted.scores, config, form, say)
        return draft.adding(strength=weights, curves={"strength": table}, metrics={"strength": quality})

    def _with_walk(self, draft: Draft, sets: list[LabelledSet]) -> Draft:
        """Return the draft with the limits of the walk.

        They choose the pairs to learn from.
        """
        if is_published(self.config, self.training):
            limits = published_limits(self.config)
            if self.training.predictor.form == "none":
                limits = {"theta": limits["theta"]}
            return draft.adding(thresholds=limits)
        limits, curve, quality = early_stop_limits(sets, self.config, self.progress.say)
        return draft.adding(thresholds=limits, curves={"early_stop": curve}, metrics={"early_stop": quality})

    def _with_base_calibration(self, draft: Draft) -> Draft:
        """Return the draft with the calibration of the base model, for labels too few."""
        assert self.base is not None, "without a base model some sets are chosen"
        kept = f"the calibration of {self.base.url}"
        self.progress.say(f"held-out identities are too few to calibrate on: {kept} is kept")
        return draft.adding(
            thresholds=self.base.card.thresholds | draft.thresholds,
            strength=self.base.card.strength,
            metrics={"predictor": {"calibrated_on": [], "kept": kept}},
        )

    def _with_model(self, draft: Draft, name: str) -> Config:
        """Write a draft as a model of its own; return the recipe with that model."""
        url = f"{self.work}/{name}-model"
        draft.save(url)
        _, digest = load_card(url)
        return dataclasses.replace(self.config, model=url, model_digest=digest)


def _without_model(config: Config) -> Config:
    """Return the recipe for the stages before any model."""
    return dataclasses.replace(config, model=None, model_digest=None)
