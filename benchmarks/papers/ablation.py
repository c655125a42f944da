"""S1's Tables 2, 3 and 4 and its figure 5, for any labelled sets.

    python -m benchmarks ablation --train train.parquet --test test.parquet --folder work

Finished models (FOLDER/models/NAME) and runs (FOLDER/runs/TEST/NAME) are only read. A limit called best is best on the
test labels themselves (BCubed F of a sweep), a bound that no user reaches; those of trained rows were calibrated on
held-out identities of the training set. Scores are percent but for NMI (geometric).
"""

import contextlib
import itertools
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal
from unittest import mock

import numpy as np
import torch

from benchmarks.measuring.runs import clustered, graph, numeric_limits, task_seconds
from benchmarks.measuring.scores import COSINES, THETA, THETAS, best, scores, short_scores
from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.sets import small
from benchmarks.measuring.tables import Rows, Tables
from raycluster.arrays import Float32, Int32, Int64
from raycluster.config.execution import Execution
from raycluster.config.load import load_config, load_training
from raycluster.evaluation.evaluate import evaluate
from raycluster.evaluation.truth import UNKNOWN
from raycluster.kernels.neighborhoods import nep
from raycluster.models.card import load_card
from raycluster.models.networks import tokens
from raycluster.training.job import TrainingRequest, train_model

Table = Iterator[tuple[str, Callable[[], Rows]]]
"""Methods, and the calls that make their rows."""
Values = dict[str, Any]

FILTER = "fc-es-topk"
VARIANTS = {
    "Vanilla": "diff-cluster-vanilla",
    "Vanilla + Top-K": "diff-cluster-vanilla-topk",
    "Diff": "diff-cluster-differential",
    "Diff + Top-K (SDT)": "diff-cluster-sdt",
    "Diff + MoE Top-K (MoE-SDT)": "diff-cluster",
    "MoE-SDT, Gram tokens, generated sizes": "diff-cluster-gram",
}
SMALL = {"layers": 2, "heads": 4, "width": 64, "hidden": 256, "dropout": 0.1}
FIT = {"optimizer": "adamw", "learning_rate": 0.001, "batch": 64}

WALK: Values = {"theta": THETA, "reserve": THETA - 0.09}  # reserves reach below the lowest point of each sweep
SCORED: Values = {"reserve": 0.5}  # eta is at most 0.99


@dataclass
class Args(Options):
    """Labelled Parquets (id, embedding, label), and a folder.

    Every scale and number of steps needs a folder of its own.
    """

    train: tuple[str, ...]
    test: tuple[str, ...]
    folder: str
    scale: Literal["published", "small"] = "small"
    """`small`: a pair predictor of width 64 and the filter of recipe sdt-row; `published`: the recipes untouched."""
    steps: int = 1500
    filter_steps: int = 1500
    tables: tuple[Literal["2", "3", "4", "5"], ...] = ("2", "3", "4", "5")
    knn_k: int = 80
    k: tuple[int, ...] = (80,)
    """Neighbors per row in table 4, elsewhere `knn_k`; each has networks of its own."""
    rows_form: bool = False
    """Train the variants in the row form, on Gram tokens, instead of the pair form."""


@dataclass
class Laboratory:
    """Models and runs by recipe and k, made at their first use."""

    args: Args

    def overrides(self, recipe: str, k: int) -> Values:
        """Return what is laid over a recipe: k, and scale and form of its networks."""
        training: Values = {"filter": {}, "predictor": {}}
        values: Values = {"knn": {"k": k}, "edges": {}, "training": training}
        if self.args.scale == "small" and load_config(recipe).needs_model:
            if load_training(recipe).predictor.form != "none":
                training["predictor"] = {
                    "encoder": SMALL,
                    "adjust": None,
                    "head": [],
                    "fit": FIT | {"steps": self.args.steps},
                }
            if load_training(recipe).filter.network != "none":
                training["filter"] = asdict(load_training("sdt-row").filter)
                training["filter"]["fit"]["steps"] = self.args.filter_steps
        if self._by_row(recipe):
            values |= {"relations": {"score": "all"}, "edges": {"rule": "score"}}
            training["predictor"] |= {"form": "row", "tokens": "gram", "adjust": None, "head": []}
        return values

    def model(self, recipe: str, k: int) -> str:
        """Return the URL of a trained model.

        All models of one k that are trained on the same sets share FILTER's filter.
        """
        url, values = f"{self.args.folder}/models/{self._name(recipe, k)}", self.overrides(recipe, k)
        plain = load_training(recipe)
        if recipe != FILTER and plain.filter.network != "none" and not plain.generated:
            values["training"]["filter"]["source"] = self.model(FILTER, k)
        config, training = load_config(recipe, values, "ablation"), load_training(recipe, values, "ablation")
        train_model(TrainingRequest(self.args.train, url, config, training, Execution("local")))
        return url

    def run(self, test: str, recipe: str, k: int, limits: Values, suffix: str = "") -> str:
        """Return the URL of a finished run of a recipe on a test set.

        `limits` are laid over its edges.
        """
        values = self.overrides(recipe, k)
        values["edges"] |= limits
        if load_config(recipe).needs_model:
            values["model"] = self.model(recipe, k)
        url = f"{self.args.folder}/runs/{Path(test).stem}/{self._name(recipe, k)}{suffix}"
        clustered(test, url, load_config(recipe, values, "ablation"))
        return url

    def _by_row(self, recipe: str) -> bool:
        return self.args.rows_form and recipe in VARIANTS.values()

    def _name(self, recipe: str, k: int) -> str:
        return f"{recipe}{'-row' * self._by_row(recipe)}-k{k}"


def table_2(laboratory: Laboratory, test: str) -> Table:
    """Yield FC-ES by transform and by Top-K, at the published theta and the best."""

    def rows(recipe: str, delta: Values) -> Rows:
        suffix = "".join(f"-delta-{value}" for value in delta.values())
        url = laboratory.run(test, recipe, laboratory.args.knn_k, WALK | delta, suffix)
        found = evaluate(url, test, sweep=THETAS)
        points = [found | {"threshold": THETA}, best(found["sweep"])]
        return [delta | {"theta": at["threshold"]} | scores(at) for at in points]

    yield "FC-ES + eq. 4", partial(rows, "fc-es", {})
    for delta in (5.0, 7.5, 10.0):
        yield "FC-ES + eq. 6", partial(rows, "fc-es-sigmoid", {"delta": delta})
    yield "FC-ES + eq. 6 + eq. 8 (Top-K)", partial(rows, FILTER, {"delta": 7.5})


def table_3(laboratory: Laboratory, test: str) -> Table:
    """Yield the five attentions, FC-ESER, FC-ES and the best cosine threshold.

    The last attention is there without embeddings as well. With what their edges are like.
    """

    def rows(recipe: str, limits: Values, sweep: tuple[float, ...] = ()) -> Rows:
        url = laboratory.run(test, recipe, laboratory.args.knn_k, limits)
        found, limits = evaluate(url, test, sweep=sweep), numeric_limits(url)
        if sweep:
            found = best(found["sweep"])
            limits = {"threshold": found["threshold"]}
        row = short_scores(found) | edge_quality(*graph(url, found.get("threshold")))
        spent = task_seconds(url)
        row["seconds"] = sum(map(sum, spent.values()))
        if "relations" in spent:
            row["relations seconds"] = sum(spent["relations"])
            card, _ = load_card(laboratory.model(recipe, laboratory.args.knn_k))
            row["parameters"] = card.networks["predictor"].parameters
        return [row | limits]

    for method, recipe in VARIANTS.items():
        yield method, partial(rows, recipe, SCORED)
    yield "FC-ESER", partial(rows, "fc-eser", SCORED)
    yield "FC-ES", partial(rows, "fc-es", WALK)
    yield "cosine, best threshold", partial(rows, "cosine", {"threshold": 0.5, "reserve": 0.21}, COSINES)


def table_4(laboratory: Laboratory, test: str) -> Table:
    """Yield MoE-SDT by eta, from stored edges, for every k; theta is the model's."""

    def rows(k: int) -> Rows:
        url = laboratory.run(test, "diff-cluster", k, SCORED)
        found = evaluate(url, test, sweep=(0.5, 0.6, 0.7, 0.8, 0.9))
        return [{"eta": each["threshold"], **scores(each)} for each in found["sweep"]]

    for k in laboratory.args.k:
        yield f"MoE-SDT, K {k}", partial(rows, k)


def figure_5(laboratory: Laboratory, test: str) -> Table:
    """Yield vanilla and differential attention under noise at inference.

    Both are trained on clean data.
    """

    def rows(recipe: str, share: float) -> Rows:
        laboratory.model(recipe, laboratory.args.knn_k)  # trained before there is any noise
        with noise(share):
            url = laboratory.run(test, recipe, laboratory.args.knn_k, SCORED, f"-noise-{share}" if share else "")
        return [{"noise": share, **scores(evaluate(url, test))}]

    for method, share in itertools.product(("Vanilla", "Diff"), (0.0, 0.1, 0.2, 0.4)):
        yield method, partial(rows, VARIANTS[method], share)


@contextlib.contextmanager
def noise(share: float, seed: int = 0) -> Iterator[None]:
    """Raise a share of the cosines that networks and NEP read, in this process.

    S1 says only that a share of the similarity matrix is raised at random by 0 to 1 and "normalized between 0 and 1".
    Taken here: the amount is uniform and what exceeds 1 is cut; neighbor lists keep members and order; the adaptive filter
    reads the noisy Gram matrix too; limits are those of clean data. A pair's noise is a hash, the same from both ends and in
    any batch: of both vectors in Gram matrices; of the cosine's bits, all that p_hat reads, in the neighbor table.
    """
    plain = tokens.gram

    def gram(vectors: torch.Tensor) -> torch.Tensor:
        weight = hashed(torch.arange(1, vectors.shape[2] + 1, device=vectors.device)) | 1
        key = hashed((vectors.contiguous().view(torch.int32).long() * weight).sum(dim=2))
        return raised(plain(vectors), key[:, :, None] + key[:, None, :], share, seed)

    def noisy(probability: Callable[..., Float32], similarity: Float32, *parameters: float) -> Float32:
        cosine = torch.from_numpy(np.array(similarity))
        return probability(raised(cosine, cosine.view(torch.int32).long(), share, seed).numpy(), *parameters)

    names = ("exponential_probability", "sigmoid_probability")
    patched: Values = {name: partial(noisy, getattr(nep, name)) for name in names}
    with mock.patch.object(tokens, "gram", gram), mock.patch.multiple(nep, **patched):
        yield


def raised(cosine: torch.Tensor, key: torch.Tensor, share: float, seed: int = 0) -> torch.Tensor:
    """Return cosines of any shape, a `share` of them raised by 0..1, at most to 1.

    The int64 `key`, of the same shape, decides which.
    """
    bits, low = hashed(key + hashed(torch.tensor(seed + 1))), 2**24 - 1
    amount = ((bits >> 40) & low) / (low + 1)
    return torch.where((bits & low) < share * (low + 1), (cosine + amount.to(cosine.dtype)).clamp(max=1), cosine)


def hashed(key: torch.Tensor) -> torch.Tensor:
    """Return the finalizer of splitmix64 on int64.

    Products wrap, and shifts are logical.
    """
    for shift, factor in ((30, -0x40A7B892E31B1A47), (27, -0x6B2FB644ECCEEE15)):
        key = (key ^ ((key >> shift) & (2 ** (64 - shift) - 1))) * factor
    return key ^ ((key >> 31) & (2**33 - 1))


def edge_quality(neighbor: Int32, source: Int32, target: Int32, identity: Int64) -> dict[str, float]:
    """Return precision and recall of edges (E,) in percent.

    Edges count as unordered pairs of labelled rows, whose true identity is `identity` (N,). Precision is the share of
    them that join one identity; recall the share of the pairs of one identity in the neighbor lists (N, K), listed by
    either end, that are edges.
    """
    rows = len(identity)

    def pairs(one: Int32, other: Int32) -> Int64:
        usable = (one != other) & (other >= 0) & (identity[one] != UNKNOWN) & (identity[other] != UNKNOWN)
        return np.unique(np.minimum(one, other)[usable] * np.int64(rows) + np.maximum(one, other)[usable])

    joined = pairs(source, target)
    listed = pairs(np.repeat(np.arange(rows, dtype=np.int32), neighbor.shape[1]), neighbor.ravel())
    true, right = (int((identity[each // rows] == identity[each % rows]).sum()) for each in (listed, joined))
    return {"edge precision": 100 * right / max(len(joined), 1), "edge recall": 100 * right / max(true, 1)}


def measured(table: Table) -> Rows:
    """Return all rows of a table; a method that fails is a row with the reason."""
    rows: Rows = []
    for method, work in table:
        try:
            rows += [{"method": method, **row} for row in work()]
        except Exception as error:
            traceback.print_exc()
            rows.append({"method": method, "failed": " ".join(f"{type(error).__name__}: {error}".split())})
    return rows


def tables(args: Args) -> Tables:
    """Yield every table of every set."""
    makers = {"2": table_2, "3": table_3, "4": table_4, "5": figure_5}
    for test, number in itertools.product(args.test, args.tables):
        yield f"{makers[number].__name__}: {Path(test).stem}", measured(makers[number](Laboratory(args), test))


def _quick(folder: str) -> Args:
    train, test = small(folder, rows=1500, seed=1), small(folder)
    return Args((train,), (test,), f"{folder}/work", steps=4, filter_steps=4, knn_k=10, k=(10,))


BENCHMARK = Benchmark(Args, tables, _quick)
