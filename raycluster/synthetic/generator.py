"""Synthetic identities that cluster like real ones: any number of rows, generated in blocks, no data needed.

Every random number is a hash of (seed, purpose, index), so any row can be computed alone: the result depends neither on
the block size nor on the rows per file, and one block bounds the memory. An embedding is put together in steps:

    row -> identity centre (look-alikes lean on a family's) -> mode (age, pose) -> picture (spread around the mode)
        -> bad pictures lean on a few common directions

Run `python -m raycluster.synthetic.generator --output DIR --preset demo` to write Parquet files that `jobs/cluster.py` reads.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from raycluster.arrays import Floats, Ints
from raycluster.errors import ConfigError, InputError
from raycluster.storage import schemas
from raycluster.storage.object_store import Store
from raycluster.synthetic.hashed import Doubles, bits, directions, permute, uniform

_CHUNK = 4096  # rows computed at once: their temporaries stay in the processor's cache

_HARD = {"same_cosine": 0.52, "family_share": 0.6, "family_cosine": 0.55, "low_quality_strength": 0.7}
PRESETS: dict[str, dict[str, Any]] = {
    # A mixture of everything, in seconds.
    "demo": {"rows": 20_000, "width": 128, "max_size": 400},
    # Like Labeled Faces in the Wild: 70 % of the identities have one picture, the largest hundreds.
    "long-tail": {"rows": 50_000, "mean_size": 2.25, "tail_exponent": 2.4},
    # Like MS1M and hard: many pictures each, loose identities, look-alikes everywhere.
    "dense": {"rows": 50_000, "mean_size": 70.0, "min_size": 5, "max_size": 400, "tail_exponent": -1.0} | _HARD,
    # Nobody twice: whatever is merged is wrong.
    "singletons": {"rows": 20_000, "mean_size": 1.0, "max_size": 1},
    # Identities far larger than any usual K.
    "large": {"rows": 50_000, "mean_size": 500.0, "min_size": 500},
}
"""Named sets as keyword arguments of `SyntheticConfig`, rows included."""


@dataclass(frozen=True)
class SyntheticConfig:
    """What to generate; cosines are expectations: a single pair departs by up to effective_dimension ** -0.5."""

    rows: int
    """Rows (pictures) in all, at least 1. Raising it at the same sizes gives more identities, so nearer strangers."""
    width: int = 256
    """Dimensions of an embedding, at least 2. Raising it costs time; effective_dimension sets the difficulty."""
    seed: int = 0
    """0 .. 2 ** 63 - 1. Another seed gives another set with the same statistics."""
    mean_size: float = 8.0
    """Mean rows of an identity, min_size .. max_size. Raising it gives fewer, larger identities."""
    min_size: int = 1
    """Fewest rows of an identity (one may get fewer, to make the rows add up). Raising it to 2 removes singletons."""
    max_size: int = 500
    """Most rows of an identity. Raising it at the same mean lets a few identities grow at the cost of the others."""
    tail_exponent: float = 1.7
    """Sizes follow size ** -tail_exponent, tilted exponentially to meet mean_size. Raising it at the same mean gives
    more singletons and more giants; 0 is an exponential law; negative values gather the sizes around the mean."""
    effective_dimension: float = 105.0
    """Directions in use, at least 1; more than width counts as width. The cosine of two strangers is 0 +-
    effective_dimension ** -0.5, so raising it makes the set easier."""
    same_cosine: float = 0.7
    """Mean cosine of two good pictures of an identity in the same mode, 0 .. 1. Raising it makes identities tight."""
    same_cosine_spread: float = 0.1
    """Standard deviation of that mean over identities (it is uniform). Raising it mixes tight and loose ones."""
    modes: int = 3
    """An identity has 1 .. modes equally likely modes (age, pose). Raising it breaks identities into more pieces."""
    mode_cosine: float = 0.88
    """Cosine of a mode's centre to the identity's, 0 .. 1. Lowering it drives the modes of an identity apart."""
    family_share: float = 0.3
    """Share of the identities that belong to a family of look-alikes, 0 .. 1. Raising it adds wrong near neighbors."""
    family_size: int = 8
    """Identities in a family, at least 1. Raising it gives each look-alike more rivals."""
    family_cosine: float = 0.45
    """Cosine of two centres in a family, 0 .. 1. Raising it makes look-alikes hard to tell apart, at 1 impossible."""
    picture_spread: float = 0.0
    """Standard deviation of that mean over the pictures of an identity (it is uniform). Raising it gives every identity
    clear pictures that lie close and poor ones that lie far, without a common direction."""
    copy_share: float = 0.0
    """Share of the rows that are a near copy of others of their identity and mode, 0 .. 1. Raising it adds pairs far above
    the identity's other cosines (frames of a video, an offer repeated), which say little of where the identity ends."""
    copy_cosine: float = 0.9
    """Cosine of what two copies do not owe to their identity, 0 .. 1."""
    family_spread: float = 0.0
    """Standard deviation of that cosine over the identities of a family (it is uniform). Raising it makes some members of a
    family nearly the same and others distant, so that similarity falls smoothly along a neighbor list."""
    clan_size: int = 1
    """Families in a clan (models of a brand, brands of a category), at least 1."""
    clan_cosine: float = 0.0
    """Cosine of the centres of two families of a clan, 0 .. 1. Raising it fills neighbor lists with relatives."""
    styles: int = 4
    """Styles in a family, at least 1: shops that describe alike products each in their own words. Raising it makes rows of
    one style rarer."""
    style_share: float = 0.0
    """Share of a family's rows that follow one of its styles, 0 .. 1. Raising it adds pairs of different identities that lie
    nearer than pairs of one."""
    style_cosine: float = 0.9
    """Cosine of what two rows of one style do not owe to their identity, 0 .. 1."""
    low_quality_share: float = 0.08
    """Share of the rows that are bad pictures, 0 .. 1. Raising it adds outliers."""
    low_quality_strength: float = 0.6
    """A bad picture has half to all of this cosine to a common direction, 0 .. 1. Raising it makes bad pictures of
    different persons resemble each other (about the square of it) and their own person less."""
    low_quality_directions: int = 8
    """Common directions (blur, darkness, profile), at least 1. Raising it makes fewer bad pictures share one."""

    offset: float = 0.0
    """Cosine of any two strangers, 0 .. 1: the share that a direction common to all rows has in each. Raising it makes a set
    that is not centered, as text embeddings are."""

    def __post_init__(self) -> None:
        """Raises ConfigError, naming the fields, if a value is out of its range."""
        counts = ("rows", "min_size", "modes", "family_size", "clan_size", "styles", "low_quality_directions")
        at_least_1 = (*counts, "effective_dimension")
        unbounded = ("mean_size", "max_size", "tail_exponent")
        names = [field.name for field in dataclasses.fields(self) if field.name not in unbounded]
        ranges: dict[str, tuple[float, float]] = dict.fromkeys(names, (0, 1))
        ranges |= dict.fromkeys(at_least_1, (1, math.inf))
        ranges |= {"width": (2, math.inf), "seed": (0, 2**63 - 1)}
        for name, (low, high) in ranges.items():
            if not low <= (value := getattr(self, name)) <= high:
                raise ConfigError(f"Synthetic {name} is {value}, but must lie between {low} and {high}.")
        if not self.min_size <= self.mean_size <= self.max_size:
            raise ConfigError(f"Synthetic mean_size is {self.mean_size}, but must lie between min_size and max_size.")


def generate(config: SyntheticConfig, rows_per_block: int = 65536) -> Iterator[tuple[Ints, Floats, Ints]]:
    """Yield ids int64 (n,), embeddings float32 (n, width) of unit length and labels int64 (n,), by ascending id.

    Ids are 0 .. rows - 1, labels 0 .. identities - 1. Rows of an identity lie scattered over the set, and neither id
    nor label tells an identity's size. n is `rows_per_block`, or less in the last block; raising it takes more memory,
    about 4 * width bytes a row, and changes nothing in the result.
    """
    sizes, counts = _size_counts(config)
    row_start = np.concatenate([[0], np.cumsum(sizes * counts)])
    identity_start = np.concatenate([[0], np.cumsum(counts)])
    identities = int(identity_start[-1])
    scale = _spectrum(config.width, config.effective_dimension)
    common = directions(config.seed, "common", np.arange(config.low_quality_directions), scale)
    for start in range(0, config.rows, rows_per_block):
        ids = np.arange(start, min(start + rows_per_block, config.rows), dtype=np.int64)
        position = permute(config.seed, "row order", ids, config.rows)
        size_class = np.searchsorted(row_start, position, side="right") - 1
        identity = identity_start[size_class] + (position - row_start[size_class]) // sizes[size_class]
        labels = permute(config.seed, "identity order", identity, identities)
        embeddings = np.empty((len(ids), config.width), np.float32)
        for first in range(0, len(ids), _CHUNK):
            part = slice(first, first + _CHUNK)
            embeddings[part] = _embed(config, ids[part], labels[part], identities, scale, common)
        yield ids, embeddings, labels


def write_parquet(config: SyntheticConfig, directory: str | Path, rows_per_file: int = 131_072) -> list[str]:
    """Write `part-00000.parquet`, ... below a local directory or a storage URL; return their names in order of the ids.

    Columns: id int64, embedding fixed_size_list<float32 not null>[width], label int64. Raising `rows_per_file` gives
    fewer, larger files and takes more memory. Raises InputError if there are Parquet files already: a reader would mix
    them with these.
    """
    store = Store(str(directory))
    if any(name.endswith(".parquet") for name in store.files()):
        raise InputError(f"{store.url} already holds Parquet files; give an empty directory.")
    vector = schemas.vector(pa.float32(), config.width)
    schema = pa.schema([("id", pa.int64()), ("embedding", vector), ("label", pa.int64())])
    names = []
    for number, (ids, embeddings, labels) in enumerate(generate(config, rows_per_file)):
        names.append(f"part-{number:05d}.parquet")
        store.put_tables(names[-1], [schemas.from_columns(schema, id=ids, embedding=embeddings, label=labels)])
    return names


def _size_counts(config: SyntheticConfig) -> tuple[Ints, Ints]:
    """Sizes 1 .. max_size and how many identities have each, int64 (max_size,); sizes @ counts is rows.

    Rounding the cumulative counts makes the sizes the quantiles of the distribution rather than a random draw.
    """
    sizes = np.arange(1, config.max_size + 1, dtype=np.int64)
    logits = np.where(sizes >= config.min_size, -config.tail_exponent * np.log(sizes), -np.inf)
    low, high = -60.0, 60.0
    for _ in range(80):
        tilt = (low + high) / 2
        tilted = logits - tilt * sizes
        share = np.exp(tilted - tilted.max())
        share /= share.sum()
        low, high = (tilt, high) if share @ sizes > config.mean_size else (low, tilt)
    # Rounded up, so that the identities are rather too small than too large; 1e-6 absorbs the error of the sums.
    reached = np.ceil(np.cumsum(share) * (config.rows // config.mean_size) - 1e-6).astype(np.int64)
    counts: Ints = reached - np.concatenate([[0], reached[:-1]])
    spare = config.rows - int(sizes @ counts)
    counts[-1] += spare // config.max_size
    counts[spare % config.max_size - 1] += spare % config.max_size > 0
    return sizes, counts


def _embed(config: SyntheticConfig, ids: Ints, labels: Ints, identities: int, scale: Floats, common: Floats) -> Floats:
    """Unit embeddings float32 (n, width) of the rows `ids` of the identities `labels`."""
    seed = config.seed
    x = directions(seed, "identity", labels, scale)

    alike = np.flatnonzero(labels < round(config.family_share * identities))
    family = directions(seed, "family", labels[alike] // config.family_size, scale)
    if config.clan_cosine > 0:
        clan = directions(seed, "clan", labels[alike] // config.family_size // config.clan_size, scale)
        family = _mix(family, clan, np.full(len(alike), math.sqrt(config.clan_cosine)))
    lean = math.sqrt(12) * config.family_spread * (uniform(seed, "lean", labels[alike]) - 0.5)
    x[alike] = _mix(x[alike], family, np.sqrt(np.clip(config.family_cosine + lean, 0.0, 1.0)))

    mode = bits(seed, "mode", ids) % (1 + bits(seed, "modes", labels) % config.modes)
    shifted = np.flatnonzero(mode)
    shift = directions(seed, "shift", labels[shifted] * config.modes + mode[shifted], scale)
    x[shifted] = _mix(shift, x[shifted], np.full(len(shifted), config.mode_cosine))

    spread = math.sqrt(12) * config.same_cosine_spread * (uniform(seed, "tightness", labels) - 0.5)
    if config.picture_spread > 0:
        spread = spread + math.sqrt(12) * config.picture_spread * (uniform(seed, "clarity", ids) - 0.5)
    tightness = np.clip(config.same_cosine + spread, 0.0, 1.0)
    picture = directions(seed, "picture", ids, scale)
    copies = np.flatnonzero(uniform(seed, "copy", ids) < config.copy_share)
    original = (labels[copies] * config.modes + mode[copies]) * 4 + bits(seed, "original", ids[copies]) % 4
    copied = directions(seed, "copied", original, scale)
    picture[copies] = _mix(picture[copies], copied, np.full(len(copies), math.sqrt(config.copy_cosine)))
    styled = alike[uniform(seed, "styled", ids[alike]) < config.style_share]
    style = labels[styled] // config.family_size * config.styles + bits(seed, "style", ids[styled]) % config.styles
    worded = directions(seed, "wording", style, scale)
    picture[styled] = _mix(picture[styled], worded, np.full(len(styled), math.sqrt(config.style_cosine)))
    x = _mix(picture, x, np.sqrt(tightness))

    bad = np.flatnonzero(uniform(seed, "bad", ids) < config.low_quality_share)
    strength = config.low_quality_strength * (0.5 + 0.5 * uniform(seed, "strength", ids[bad]))
    x[bad] = _mix(x[bad], common[bits(seed, "kind", ids[bad]) % config.low_quality_directions], strength)

    x /= np.linalg.norm(x, axis=1, keepdims=True)
    if config.offset > 0:
        level = np.full(len(scale), len(scale) ** -0.5, np.float32)
        middle = directions(seed, "middle", np.zeros(1, np.int64), level)
        middle /= np.linalg.norm(middle)
        x = x * np.float32(math.sqrt(1 - config.offset)) + middle * np.float32(math.sqrt(config.offset))
        x /= np.linalg.norm(x, axis=1, keepdims=True)
    return x


def _mix(a: Floats, b: Floats, cosine: Doubles) -> Floats:
    """Vectors (n, width) at `cosine` (n,) to b, the rest from a, if a and b have length 1 and stand at right angles."""
    return a * np.sqrt(1 - cosine**2)[:, None].astype(np.float32) + b * cosine[:, None].astype(np.float32)


def _spectrum(width: int, effective_dimension: float) -> Floats:
    """Standard deviation of each dimension, float32 (width,); the variances v sum to 1 and decay as exp(-i / t), with t
    such that sum(v) ** 2 / sum(v ** 2) is the effective dimension."""
    low, high = math.log(1e-3), math.log(1e7)
    for _ in range(80):
        log_decay = (low + high) / 2
        variance = np.exp(-np.arange(width) / math.exp(log_decay))
        variance /= variance.sum()
        low, high = (log_decay, high) if 1 / (variance @ variance) < effective_dimension else (low, log_decay)
    return np.sqrt(variance).astype(np.float32)
