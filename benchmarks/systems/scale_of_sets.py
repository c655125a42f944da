"""`auto` and `cosine` as they come, on sets whose scale is unusual.

    python -m benchmarks scale_of_sets

Exact copies, near copies (bursts at cosine 0.97), sparse vectors, widths from 32 to 256 and large common means, in sets of 500
to 2,000 generated rows. `auto` without its own threshold is the network alone, before the far ranks could overrule it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from unittest import mock

import numpy as np
import numpy.typing as npt

from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.tables import Rows, Tables
from raycluster import Clusterer
from raycluster.evaluation import metrics

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]
Set = tuple[Floats, Ints]
BURST = 0.18
"""Noise of near copies: cosine 0.97 between two of them."""


@dataclass
class Args(Options):
    """Sizes: identities per set, and how many of the sets are taken."""

    identities: int = 60
    sets: int | None = None
    threads: int = 2


def identities(count: int, rows: int, width: int, noise: float, seed: int = 4) -> Set:
    """Return noisy rows of identities in random directions."""
    random = np.random.default_rng(seed)
    centers = random.standard_normal((count, width))
    truth = np.repeat(np.arange(count), rows)
    return _unit(_unit(centers)[truth] + noise * random.standard_normal((len(truth), width)) / np.sqrt(width)), truth


def in_bursts(made: Set, shots: int) -> Set:
    """Return every row as a burst of near copies."""
    rows = np.repeat(made[0], shots, axis=0)
    noise = np.random.default_rng(5).standard_normal(rows.shape) / np.sqrt(rows.shape[1])
    return rows + BURST * noise, np.repeat(made[1], shots)


def with_copies(made: Set, share: float) -> Set:
    """Return a set of which a share of the rows are exact copies."""
    drawn = np.random.default_rng(9).integers(0, len(made[0]), int(len(made[0]) * share / (1 - share)))
    return np.concatenate([made[0], made[0][drawn]]), np.concatenate([made[1], made[1][drawn]])


def off_center(made: Set, length: float) -> Set:
    """Return the rows with a common vector added, `length` times as long as a row."""
    common = np.random.default_rng(8).standard_normal((1, made[0].shape[1]))
    return _unit(made[0]) + length * _unit(common), made[1]


def tags(count: int, rows: int, own: int, worn: int, strange: int = 0) -> Set:
    """Return rows that wear some of their identity's own tags, and some of 200 that are common to all."""
    random = np.random.default_rng(0)
    truth = np.repeat(np.arange(count), rows)
    vectors = np.zeros((len(truth), own * count + 200), np.float32)
    for row, identity in enumerate(truth):
        vectors[row, own * identity + random.choice(own, worn, replace=False)] = 1
        vectors[row, own * count + random.choice(200, strange, replace=False)] = 1
    return vectors, truth


def _unit(rows: Floats) -> Floats:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def sets(count: int) -> Iterator[tuple[str, Set]]:
    """Yield names and sets of `count` identities each."""
    for width in (32, 64, 256):
        for noise in (0.4, 0.6):
            plain = identities(count, 6, width, noise)
            name = f"width {width}, noise {noise}"
            yield name, plain
            yield f"{name}, bursts of 2", in_bursts(plain, 2)
            yield f"{name}, bursts of 4", in_bursts(plain, 4)
    plain = identities(count, 6, 64, 0.5)
    for share in (0.5, 0.67, 0.8):
        yield f"{share:.0%} copies", with_copies(plain, share)
        yield f"{share:.0%} copies, bursts of 2", with_copies(in_bursts(plain, 2), share)
    for length in (1.0, 3.0):
        yield f"mean {length}", off_center(plain, length)
        yield f"mean {length}, bursts of 3", off_center(in_bursts(plain, 3), length)
        yield f"mean {length}, 67% copies", with_copies(off_center(plain, length), 0.67)
    yield "bursts of 10", in_bursts(identities(count // 2, 4, 64, 0.5), 10)
    for own, worn, strange in ((20, 15, 0), (20, 12, 4), (20, 8, 6), (6, 4, 0), (6, 4, 1), (40, 20, 2)):
        made = tags(count, 6, own, worn, strange)
        yield f"tags, {worn} of {own} and {strange}", made
        yield f"tags, {worn} of {own} and {strange}, 50% copies", with_copies(made, 0.5)
    yield "tags off center", off_center(tags(count, 6, 20, 15), 1.0)


def bcubed_f(made: Set, recipe: str, threads: int) -> float:
    """Return BCubed F of a recipe as it comes."""
    labels = Clusterer(recipe, threads=threads).fit(made[0].astype(np.float32)).labels_
    return round(float(metrics.bcubed(metrics.Contingency.of(made[1], labels)).f), 3)


def tables(args: Args) -> Tables:
    """Yield one table of all sets."""
    table: Rows = []
    for name, made in list(sets(args.identities))[: args.sets]:
        with mock.patch("raycluster.limits.agreement.is_contradicted", return_value=False):
            alone = bcubed_f(made, "auto", args.threads)
        found = {recipe: bcubed_f(made, recipe, args.threads) for recipe in ("auto", "cosine")}
        table.append({"set": name, "rows": len(made[0]), "auto, network alone": alone, **found})
    yield "BCubed F", table


BENCHMARK = Benchmark(Args, tables, quick=lambda folder: Args(identities=20, sets=3))
