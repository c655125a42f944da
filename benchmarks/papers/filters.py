"""How far the adaptive filter's Top-K is off, beside the best constant, on one source.

    python -m benchmarks filters --folder work

Filters are small ones on Gram tokens: a Transformer or Ada-NETS's LSTM, by either loss. They train on generated identities. The
error is the mean distance of Top-K from the true one, in neighbors, on held-out identities of the same set. The best constant is
the median of the true Top-K there. Every seed has other weights, another order and other held-out identities. Errors are means
over seeds with a 95 % interval by Student's t.
"""

from dataclasses import dataclass
from typing import Any

from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.tables import Rows, Tables
from benchmarks.papers._intervals import in_words
from benchmarks.papers._laboratory import FIT, SMALL, Values, generated
from raycluster.config.execution import Execution
from raycluster.config.load import load_config, load_training
from raycluster.models.card import load_card
from raycluster.training.job import TrainingRequest, train_model

KINDS: dict[str, Values] = {
    "Transformer, absolute error": {"network": "transformer", "loss": "absolute"},
    "Transformer, relative error as in Ada-NETS": {"network": "transformer", "loss": "relative"},
    "LSTM, absolute error": {"network": "lstm", "loss": "absolute"},
    "LSTM, relative error: Ada-NETS": {"network": "lstm", "loss": "relative"},
}
"""The filters that are compared; the first is the default."""
RECIPE = "fc-es-topk"


@dataclass
class Args(Options):
    """A folder for the set and the models."""

    folder: str
    rows: int = 12_000
    knn_k: int = 40
    steps: int = 600
    seeds: tuple[int, ...] = (0, 1, 2)


def metrics_of(args: Args, name: str, kind: Values, seed: int) -> dict[str, Any]:
    """Return the quality of a filter as its card has it; trains it unless it is there."""
    fit = FIT | {"steps": args.steps, "evaluate_every": max(1, args.steps // 4)}
    own: Values = {
        **kind,
        "tokens": "gram",
        "encoder": SMALL | {"dropout": 0.0},
        "lstm_width": SMALL["width"],
        "fit": fit,
    }
    training = {"limits": "published", "folds": 10, "seed": seed, "filter": own}
    values = {"knn": {"k": args.knn_k}, "training": training}
    config, recipe = load_config(RECIPE, values, "benchmark"), load_training(RECIPE, values, "benchmark")
    source = generated(args.folder, args.rows, 101, args.knn_k)
    url = f"{args.folder}/models/{name.replace(' ', '-').replace(',', '').replace(':', '')}-{seed}"
    train_model(TrainingRequest((source,), url, config, recipe, Execution("local")))
    card, _ = load_card(url)
    return dict(card.metrics["filter"])


def tables(args: Args) -> Tables:
    """Yield the table as it grows."""
    rows: Rows = []
    for name, kind in KINDS.items():
        found = [metrics_of(args, name, kind, seed) for seed in args.seeds]
        columns = {"error": "error", "of the best constant": "error_of_median"}
        words = {column: in_words([one[key] for one in found]) for column, key in columns.items()}
        rows.append({"filter": name, **words, "trainings": len(found)})
        yield f"Top-K, in neighbors of {args.knn_k}", rows


BENCHMARK = Benchmark(Args, tables, lambda folder: Args(folder, rows=400, knn_k=10, steps=2, seeds=(0,)))
