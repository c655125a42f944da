"""The training job: labelled sets in, a model folder out. Its steps, each of which a killed job takes up where it was:

generated sets beside the labelled  ->  neighbors of every set (the stages of the main job)  ->  adaptive filter
->  Top-K of every row  ->  theta, floor  ->  relation predictor  ->  scores of every pair  ->  probabilities, eta
->  strengths  ->  card
"""

import dataclasses
import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
import torch
import tyro
from torch import Tensor

from raycluster.command_line import early_options
from raycluster.config.execution import Execution
from raycluster.config.fingerprint import fingerprint
from raycluster.config.load import load_config, load_training
from raycluster.config.networks import TrainingConfig
from raycluster.config.stages import Config
from raycluster.config.yaml_files import load_yaml
from raycluster.errors import ConfigError
from raycluster.evaluation.truth import UNKNOWN
from raycluster.executors.progress import Progress
from raycluster.models import card as folder
from raycluster.models.card import Card, TrainingSet
from raycluster.models.requirements import with_model
from raycluster.pipeline import run as pipeline
from raycluster.storage.object_store import Store
from raycluster.storage.parquet_input import describe_input
from raycluster.synthetic import varied as generated
from raycluster.training import calibrated_limits as limits
from raycluster.training import fit_strength as strength
from raycluster.training.base_model import Source
from raycluster.training.labelled_set import LabelledSet, open_set
from raycluster.training.worker import fitted, learn, told

DEFAULT_RECIPE = "sdt-row"
TUNING_RECIPE = "auto-tuned"
MOST_CALIBRATION_SETS = 48
"""Varied sets that limits are read from: each takes a partition for every limit that is tried."""


@dataclass(frozen=True)
class TrainArgs:
    """Train the networks of a recipe on labelled sets and write the model folder `--output`.

    The same command goes on where an interrupted one stopped. Values come from the recipe, then from the file given as
    `--config`, then from the command line.
    """

    input: tuple[str, ...]
    """Labelled sets, each a Parquet file or a folder of them, on disk or as s3://bucket/path. Every set has a kNN graph
    of its own; sets of different width need a recipe with Gram tokens. Recipes that generate their own sets need none."""
    output: str
    """Model folder, on disk or as s3://bucket/path."""
    settings: Annotated[Config, tyro.conf.arg(name="")]
    training: TrainingConfig
    execution: Annotated[Execution, tyro.conf.arg(name="")] = field(default_factory=Execution)
    label_column: str = "label"
    """Column with the true identity, integers or strings; rows whose label is null are neighbors, never samples."""
    from_model: Annotated[str | None, tyro.conf.arg(name="from")] = None
    """Model to start from, a folder of jobs/train.py or the name of one that comes with the package, such as auto; the recipe
    is then auto-tuned unless given, and must build the networks as the model has them. Few labels are enough to make it fit
    one's own data; where they are too few to calibrate on, its probabilities and eta are kept."""
    config: str | None = None
    """YAML file with keys laid over the recipe's, those of training under `training`."""


def with_recipe() -> TrainArgs:
    """The arguments' defaults: what `--recipe` and `--config` of this command line say."""
    recipe, source, model = early_options("--recipe", "--config", "--from")
    overrides: dict[str, Any] = load_yaml(source) if source else {}
    recipe = recipe or overrides.pop("recipe", TUNING_RECIPE if model else DEFAULT_RECIPE)
    overrides.pop("recipe", None)
    settings = load_config(recipe, overrides, source or "")
    training = load_training(recipe, overrides, source or "")
    return TrainArgs((), tyro.MISSING, settings, training, config=source)


def train(args: TrainArgs) -> dict[str, Any]:
    """Train, calibrate and write the model; returns what is printed: its metrics, thresholds and time.

    Raises InputError and ConfigError for what the user can mend, RayclusterError where the loss is not finite.
    """
    progress = Progress()
    predictor, k = args.training.predictor, args.settings.knn.k
    if not args.input and (args.from_model or not args.training.varied):
        raise ConfigError(f"The recipe {args.settings.recipe} learns from labelled sets: give --input.")
    if predictor.encodes and predictor.hop2 >= k:
        raise ConfigError(f"training.predictor.hop2 is {predictor.hop2}: it must be below knn.k, which is {k}.")
    start = _start(args)
    described = [describe_input(url) for url in args.input]
    started = [] if start is None else [start.digest]
    purpose = fingerprint([asdict(one) for one in described], args.settings, args.training, args.label_column, *started)
    store = Store(args.output)
    if store.get(folder.CARD) is not None:
        card, _ = folder.load_card(args.output)
        if card.metrics.get("purpose") != purpose:
            raise ConfigError(f"{args.output} holds a model of another training; choose another --output.")
        progress.say(f"{args.output} is complete")
        return _summary(args.output, card)
    job = Job(args, start, f"{args.output}/work/{purpose}", progress)
    card = job.run(purpose)
    store.delete("work")
    return _summary(args.output, card)


def _summary(url: str, card: Card) -> dict[str, Any]:
    networks = {name: entry.parameters for name, entry in card.networks.items()}
    return {
        "model": url, "recipe": card.recipe, "parameters": networks, "thresholds": card.thresholds,
        "metrics": card.metrics, "seconds": card.seconds,
    }  # fmt: skip


def _start(args: TrainArgs) -> Source | None:
    """The model to start from, if any; refuses one whose networks are built otherwise."""
    if args.from_model is None:
        return None
    start, training = Source.of(args.from_model), args.training
    if training.filter.network != "none" and training.filter.source is None:
        start.require("filter", training, args.settings.knn.k)
    if training.predictor.form != "none":
        start.require("predictor", training, args.settings.knn.k)
    return start


class Job:
    """One training: its sets, and the model as far as it has come.

    `inputs` are the sets' URLs, their label columns, and what their other columns are called where not as configured.
    """

    def __init__(self, args: TrainArgs, start: Source | None, work: str, progress: Progress) -> None:
        self.args, self.start, self.work, self.progress = args, start, work, progress
        self.began = time.perf_counter()
        self.stack = ExitStack()
        self.thresholds: dict[str, float] = {}
        self.tensors: dict[str, dict[str, Tensor]] = {}
        self.history: dict[str, Any] = {}
        self.data: list[TrainingSet] = []
        self.inputs: list[tuple[str, str, dict[str, Any]]] = [(url, args.label_column, {}) for url in args.input]
        self.width: int | None = None

    def run(self, purpose: str) -> Card:
        """All steps; the finished card, written."""
        with self.stack:
            return self._run(purpose)

    def _run(self, purpose: str) -> Card:
        config, training = self.args.settings, self.args.training
        columns = {"id_column": "id", "embedding_column": "embedding"}
        if training.generated:
            urls = generated.write(f"{self.work}/generated", training.generated, training.seed)
            self.inputs += [(url, "label", columns) for url in urls]
        if training.varied:
            urls = generated.write_varied(f"{self.work}/varied", training.varied, training.seed)
            self.inputs += [(url, "label", columns) for url in urls]
        curves: dict[str, Any] = {}
        metrics: dict[str, Any] = {"purpose": purpose}
        if self.start:
            metrics["from"] = {"model": self.start.url, "digest": self.start.digest}
        confidence: list[dict[str, Any]] = []
        weights: dict[str, float] = {}
        bare = dataclasses.replace(
            config,
            topk=dataclasses.replace(config.topk, predict=False),
            contexts=dataclasses.replace(config.contexts, encode=False),
            relations=dataclasses.replace(config.relations, score="none"),
            edges=dataclasses.replace(config.edges, rule="early-stop"),
        )
        sets = self._sets(bare, "knn")
        self._describe(sets)
        if training.filter.network != "none":
            bare = dataclasses.replace(bare, topk=config.topk, model=self._filter())
            sets = self._sets(bare, "topk")
            confidence, metrics["filter"] = limits.of_filter(sets, training.filter.beta)
        if config.edges.rule == "early-stop":
            found, curves["early_stop"], metrics["early_stop"] = limits.of_early_stop(sets, config, self.progress.say)
            self.thresholds |= found
        if training.predictor.form != "none":
            chosen = self._to_calibrate_on(sets)
            model = self._fit("predictor")
            if chosen:
                sets = self._sets(dataclasses.replace(config, model=model), "relations", chosen)
                fitted_to = limits.probabilities_of(sets)
                self.thresholds |= {"slope": fitted_to.slope, "intercept": fitted_to.intercept}
                calibrated = with_model(dataclasses.replace(config, model=self._interim("calibrated")))
                found, curve, best = limits.of_scores(
                    sets, fitted_to.scores, calibrated, self.thresholds.get("theta"), self.progress.say
                )
                self.thresholds |= found
                curves |= dict.fromkeys(found, curve)
                curves |= {"reliability": fitted_to.reliability, "edges": fitted_to.edge_curve}
                urls = [self.data[number].url for number in chosen]
                metrics["predictor"] = {**best, **fitted_to.metrics, "calibrated_on": urls}
                if config.relations.score == "all":
                    calibrated = with_model(dataclasses.replace(config, model=self._interim("limited")))
                    weights, curves["strength"], metrics["strength"] = strength.of_clusters(
                        sets, fitted_to.scores, calibrated, self.thresholds, self.progress.say
                    )
            else:
                assert self.start is not None, "without a source some sets are chosen"
                self.thresholds, weights = self.start.card.thresholds | self.thresholds, self.start.card.strength
                metrics["predictor"] = {"calibrated_on": [], "kept": f"the calibration of {self.start.url}"}
                self.progress.say(f"held-out identities are too few to tell: {metrics['predictor']['kept']} is kept")
        seconds = round(time.perf_counter() - self.began, 1)
        known: dict[str, Any] = {
            "curves": curves,
            "confidence": confidence,
            "metrics": metrics,
            "history": self.history,
        }
        card = self._card(**known, strength=weights, seconds=seconds)
        return folder.save(self.args.output, card, self.tensors)

    def _card(self, **known: Any) -> Card:
        config, training = self.args.settings, self.args.training
        empty: dict[str, Any] = {"curves": {}, "confidence": [], "metrics": {}, "history": {}, "seconds": 0.0}
        return Card(
            recipe=config.recipe, config=asdict(config), training=training, k=config.knn.k, embedding_width=self.width,
            data=self.data, thresholds=self.thresholds, versions=folder.versions(), **{**empty, **known},
        )  # fmt: skip

    def _interim(self, name: str) -> str:
        """Write the model as far as it has come; returns its URL."""
        url = f"{self.work}/{name}-model"
        folder.save(url, self._card(), self.tensors)
        return url

    def _sets(self, config: Config, last: str, chosen: Sequence[int] | None = None) -> list[LabelledSet]:
        """The run of every input, or of the `chosen`, brought as far as stage `last`, with its labels."""
        execution = dataclasses.replace(self.args.execution, replan=True)
        found = []
        for number in range(len(self.inputs)) if chosen is None else chosen:
            url, label_column, columns = self.inputs[number]
            of_set = dataclasses.replace(with_model(config), **columns)
            context = pipeline.opened(url, f"{self.work}/set-{number}", of_set, execution, self.progress)
            tables = self.stack.enter_context(context)
            pipeline.run_stages(tables, execution, self.progress, until=last)
            found.append(open_set(tables, label_column, self.args.training.seed, self.args.training.folds))
        return found

    def _to_calibrate_on(self, sets: list[LabelledSet]) -> list[int]:
        """Numbers of the sets that limits are read from: those that are not varied, where labels may be few only those that
        tell enough; else none if there is a model whose limits can be kept, and some varied ones, evenly chosen, if not."""
        few = self.start is not None or self.args.training.varied > 0
        others = len(self.inputs) - self.args.training.varied
        chosen = [number for number in range(others) if not few or limits.tells(sets[number])]
        if chosen or self.start:
            return chosen
        return list(range(others, len(sets), -(-(len(sets) - others) // MOST_CALIBRATION_SETS)))

    def _describe(self, sets: list[LabelledSet]) -> None:
        """What the card says of the data; refuses sets of several widths where a network reads vectors."""
        self.data = [
            TrainingSet(
                url=part.tables.name.removeprefix(f"{Store(self.work).url}/"),
                rows=part.tables.rows,
                identities=len(np.unique(part.identity[part.identity != UNKNOWN])),
                width=part.vectors.shape[1],
                fingerprint=fingerprint(part.tables.folder.plan.input),
            )
            for part in sets
        ]
        if self.args.training.reads_vectors:
            widths = sorted({entry.width for entry in self.data})
            if len(widths) > 1:
                raise ConfigError(
                    f"The sets are of widths {', '.join(map(str, widths))}, and recipe {self.args.settings.recipe} reads "
                    "vectors; train on sets of one width, or a recipe with gram tokens."
                )
            self.width = widths[0]
            if self.start:
                self.start.require_width(self.width)

    def _filter(self) -> str:
        """The adaptive filter: another model's, or fitted; the URL of an interim model."""
        source = self.args.training.filter.source
        if source is None:
            return self._fit("filter")
        other = Source.of(source)
        other.require("filter", self.args.training, self.args.settings.knn.k)
        other.require_width(self.width)
        self.tensors["filter"] = other.weights("filter")
        folder.save(f"{self.work}/filter-model", self._card(), self.tensors)
        return f"{self.work}/filter-model"

    def _fit(self, network: Literal["filter", "predictor"]) -> str:
        """Fit a network, or go on with it; the URL of an interim model with all there is so far."""
        interim = f"{self.work}/{network}-model"
        weights: dict[str, dict[str, Tensor]] = {network: self.start.weights(network)} if self.start else {}
        folder.save(f"{self.work}/{network}-start", self._card(), weights)
        arguments = {
            "network": network,
            "sets": [
                (f"{self.work}/set-{number}", column, number >= len(self.inputs) - self.args.training.varied)
                for number, (_, column, _) in enumerate(self.inputs)
            ],
            "model": f"{self.work}/{network}-start",
            "folder": self.work,
        }
        workers = self.args.execution.workers or 1
        if self.args.execution.executor == "ray" or (
            self.args.execution.executor == "auto" and (workers > 1 or os.environ.get("RAY_ADDRESS"))
        ):
            from raycluster.executors.ray_train import fit_on_ray

            accelerator = self.args.execution.accelerator
            fit_on_ray(learn, arguments, workers=workers, accelerator=accelerator, store=Store(self.work), name=network)
        else:
            device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
            learn(arguments, 0, 1, device, lambda entry: self.progress.say(told(network, entry)))
        self.tensors[network], self.history[network] = fitted(self.work, network)
        self.progress.say(
            f"{network} fitted; {told(network, max(self.history[network], key=lambda look: look['score']))}"
        )
        folder.save(interim, self._card(), self.tensors)
        return interim
