"""Diff-Cluster at its published scale: what a step costs, what all of it would cost, and all of it within a budget.

    python -m benchmarks published_scale --folder work [--minutes 480]

The network is the recipe's, three layers of width 416 on lists of 80. The stand-in for MS1M's part 0 is generated: 576,494 rows,
about 70 per identity. The first table times some steps of SGD on a sample of it, with the true Top-K. Then comes the forecast for
the whole training: 8 epochs of all pairs that edge recall scores, as FC-ESER has it, here and on a GPU. With `minutes`
the training runs on all rows, with as many steps as the budget leaves. It goes on from its last checkpoint where it was killed.
Then the model is scored on as many other rows.
"""

import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measuring.runs import evaluated
from benchmarks.measuring.scores import short_scores
from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.tables import Row, Rows, Tables
from benchmarks.papers._laboratory import generated
from raycluster.config.execution import Execution
from raycluster.config.load import load_config, load_training
from raycluster.errors import ConfigError
from raycluster.models.bfloat16 import fast_bfloat16
from raycluster.models.networks.relation_predictor import PairPredictor
from raycluster.pipeline import run as pipeline
from raycluster.training.job import TrainingRequest, train_model
from raycluster.training.joint_limits import published_limits
from raycluster.training.labelled_set import LabelledSet, open_set
from raycluster.training.objectives import true_topk
from raycluster.training.pair_objective import PairObjective
from raycluster.training.schedule import Order, learning_rate, make_optimizer

RECIPE = "diff-cluster"
EPOCHS = 8
"""Epochs of FC-ESER's pair network, on which S1 is silent."""
REST = 0.1
"""Share of a budget for neighbors, edges and communities of two sets, by about 2 ms per row and set on two cores."""
FILTER_STEP = 0.5
"""Seconds of a step of the Top-K filter per second of the pair network's, with as many steps: at most this, by operations."""
FILTER_ROWS = 4
"""Rows of a step of the filter per pair of a step of the pair network, as published: 1,024 per 256."""


@dataclass
class Args(Options):
    """A folder for sets, models and runs."""

    folder: str
    rows: int = 576_494
    """Rows of the whole training, those of MS1M's part 0."""
    sample: int = 6_000
    """Rows of the sample on which steps are timed."""
    steps: int = 3
    """Steps that are timed, after one that is not."""
    batch: int = 256
    knn_k: int = 80
    gpu_tflops: float = 300.0
    """Rate of a GPU for the forecast, in 10^12 operations per second: an assumption, a third of an H200's peak in bfloat16."""
    minutes: float | None = None
    """Budget of a real training in minutes; none only times and forecasts."""


def values_of(args: Args) -> dict[str, Any]:
    """Return what is laid over the recipe."""
    fit = {"batch": args.batch}
    return {"knn": {"k": args.knn_k}, "training": {"limits": "published", "predictor": {"fit": fit}}}


def sample_of(args: Args) -> LabelledSet:
    """Return the sample with its neighbors, and the true Top-K in place of a predicted one."""
    source = generated(args.folder, args.sample, 101, args.knn_k)
    url = f"{args.folder}/runs/sample-{args.sample}-{args.knn_k}"
    config = load_config("fc-es-sigmoid", {"knn": {"k": args.knn_k}}, "benchmark")
    pipeline.cluster(source, url, config, Execution("local"))
    sample = open_set(pipeline.open_run(url), "label", 0, 5)
    return dataclasses.replace(sample, topk=true_topk(sample, np.arange(len(sample.identity)), 0.5))


def timed(args: Args) -> Row:
    """Return the cost of a step, in seconds and in operations, and the pairs per row."""
    sample, training = sample_of(args), load_training(RECIPE, values_of(args), "benchmark")
    limits = published_limits(load_config(RECIPE))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    module = PairPredictor(training.predictor, args.knn_k, sample.vectors.shape[1]).to(device).train()
    objective = PairObjective([sample], module, limits["theta"], limits["floor"], device)
    fit, order = training.predictor.fit, Order(0, *objective.groups)
    optimizer = make_optimizer(module, fit)
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=fast_bfloat16(device))

    def step(number: int) -> None:
        with autocast:
            loss = objective.loss(module, order.batch(number, fit.batch))
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(number, fit)
        optimizer.step()

    with FlopCounterMode(display=False) as counter:
        step(0)
    began, processor = time.perf_counter(), time.process_time()
    for number in range(1, args.steps + 1):
        step(number)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return {
        "device": device.type,
        "threads": torch.get_num_threads(),
        "parameters": sum(parameter.numel() for parameter in module.parameters()),
        "batch": fit.batch,
        "seconds per step": (time.perf_counter() - began) / args.steps,
        "processor seconds per step": (time.process_time() - processor) / args.steps,
        "GFLOP per pair and step": counter.get_total_flops() / fit.batch / 1e9,
        "pairs per row": sum(objective.groups) / len(sample.anchors(held_out=False)),
    }


def forecast(args: Args, cost: Row) -> Iterator[Row]:
    """Yield the whole training on this device and on a GPU."""
    pairs = cost["pairs per row"] * args.rows
    steps = EPOCHS * pairs / args.batch
    operations = steps * args.batch * cost["GFLOP per pair and step"] * 1e9
    # processor seconds do not count what other processes took
    quiet = (
        cost["seconds per step"] if cost["device"] == "cuda" else cost["processor seconds per step"] / cost["threads"]
    )
    hours = {"on this device, quiet": steps * quiet / 3600}
    hours[f"at {args.gpu_tflops:g} TFLOP/s"] = operations / args.gpu_tflops / 1e12 / 3600
    for name, value in hours.items():
        yield {"forecast": name, "rows": args.rows, "pairs": round(pairs), "steps": round(steps), "hours": value}


def steps_within(minutes: float, cost: Row, rows: int) -> int:
    """Return the steps of both networks that a budget leaves, after the scores of the pairs of two sets.

    Raises ConfigError where it leaves none.
    """
    # a score is the forward pass alone, a third of a step's operations
    scores = 2 * rows * cost["pairs per row"] * cost["seconds per step"] / cost["batch"] / 3
    left = (1 - REST) * 60 * minutes - scores
    steps = int(left / cost["seconds per step"] / (1 + FILTER_STEP))
    if steps < 1:
        raise ConfigError(
            f"minutes is {minutes:g}: scores alone take about {scores / 60:.0f}; give more, or fewer rows."
        )
    return steps


def budgeted(args: Args, steps: int) -> dict[str, Any]:
    """Return what is laid over the recipe so that both networks are fitted in so many steps."""
    values = values_of(args)
    values["training"]["filter"] = {"fit": {"batch": FILTER_ROWS * args.batch}}
    for name in ("filter", "predictor"):
        fit = values["training"][name]["fit"]
        fit |= {"steps": steps, "warmup_steps": min(128, steps // 2), "evaluate_every": max(1, steps // 20)}
    return values


def whole(args: Args, minutes: float, cost: Row) -> Row:
    """Return the scores of a training within a budget, on as many rows of another seed."""
    train, test = (generated(args.folder, args.rows, seed, args.knn_k) for seed in (101, 202))
    steps = steps_within(minutes, cost, args.rows)
    values = budgeted(args, steps)
    url = f"{args.folder}/models/published-{steps}"
    config, training = load_config(RECIPE, values, "benchmark"), load_training(RECIPE, values, "benchmark")
    began = time.perf_counter()
    train_model(TrainingRequest((train,), url, config, training, Execution()))
    run = f"{args.folder}/runs/published-{steps}"
    found, _ = evaluated(test, run, load_config(RECIPE, {"knn": values["knn"], "model": url}, "benchmark"))
    return {"steps": steps, **short_scores(found), "minutes": (time.perf_counter() - began) / 60, "budget": minutes}


def tables(args: Args) -> Tables:
    """Yield cost and forecast, and the whole training where there is a budget."""
    Path(args.folder).mkdir(parents=True, exist_ok=True)
    cost = timed(args)
    yield "a step at the published scale", [cost]
    rows: Rows = list(forecast(args, cost))
    yield "the whole training", rows
    if args.minutes is not None:
        yield "within the budget", [whole(args, args.minutes, cost)]


def _quick(folder: str) -> Args:
    return Args(folder, rows=400, sample=400, steps=1, batch=2, knn_k=10)


BENCHMARK = Benchmark(Args, tables, _quick)
