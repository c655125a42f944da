"""Embeddings of generated rows: center, mode, picture, quality and offset.

Every step mixes unit vectors that stand at right angles in expectation, so that cosines multiply as the settings state.
Shapes: B rows of a block, D dimensions.
"""

import math

import numpy as np

from raycluster.arrays import Float32, Float64, Int64
from raycluster.synthetic.hashed import Hashed
from raycluster.synthetic.settings import SyntheticConfig

UNIFORM = math.sqrt(12)
"""Width of a uniform distribution over its standard deviation."""
ORIGINALS = 4
"""Rows that copies of one identity and mode are copies of. Raising it makes near copies rarer."""
HALVINGS = 80
"""Steps of a bisection: more than the 53 bits of a float64, from any interval that it starts with."""


def embed(
    config: SyntheticConfig, ids: Int64, labels: Int64, identities: int, scale: Float32, common: Float32
) -> Float32:
    """Return unit embeddings (B, D) of rows.

    Parameters
    ----------
    config
        Settings of the set.
    ids
        (B,), the rows.
    labels
        (B,), their identities.
    identities
        Identities of the set.
    scale
        (D,), standard deviation per dimension, as `spectrum` returns it.
    common
        (low_quality_directions, D), the directions that bad pictures lean on.

    Returns
    -------
    Float32
        (B, D). A row is the same whatever rows are computed with it.
    """
    alike = np.flatnonzero(labels < round(config.family_share * identities))
    mode = Hashed(config.seed, "mode").bits(ids) % (1 + Hashed(config.seed, "modes").bits(labels) % config.modes)
    x = _with_modes(config, _centers(config, labels, alike, scale), labels, mode, scale)
    picture = _pictures(config, ids, labels, mode, alike, scale)
    x = _mix(picture, x, np.sqrt(_tightness(config, ids, labels)))
    x = _with_bad_pictures(config, x, ids, common)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return _with_offset(config, x) if config.offset > 0 else x


def _centers(config: SyntheticConfig, labels: Int64, alike: Int64, scale: Float32) -> Float32:
    """Return the center (B, D) of every row's identity.

    Those of the rows `alike` lean on their family's.
    """
    x = Hashed(config.seed, "identity").directions(labels, scale)
    family = Hashed(config.seed, "family").directions(labels[alike] // config.family_size, scale)
    if config.clan_cosine > 0:
        clan = Hashed(config.seed, "clan").directions(labels[alike] // config.family_size // config.clan_size, scale)
        family = _mix(family, clan, np.full(len(alike), math.sqrt(config.clan_cosine)))
    lean = UNIFORM * config.family_spread * (Hashed(config.seed, "lean").uniform(labels[alike]) - 0.5)
    x[alike] = _mix(x[alike], family, np.sqrt(np.clip(config.family_cosine + lean, 0.0, 1.0)))
    return x


def _with_modes(config: SyntheticConfig, x: Float32, labels: Int64, mode: Int64, scale: Float32) -> Float32:
    """Return centers (B, D) shifted to the mode (B,) of their row; 0 is no shift."""
    shifted = np.flatnonzero(mode)
    shift = Hashed(config.seed, "shift").directions(labels[shifted] * config.modes + mode[shifted], scale)
    x[shifted] = _mix(shift, x[shifted], np.full(len(shifted), config.mode_cosine))
    return x


def _tightness(config: SyntheticConfig, ids: Int64, labels: Int64) -> Float64:
    """Return the cosine (B,) of two pictures of a row's identity and mode, 0 to 1."""
    spread = UNIFORM * config.same_cosine_spread * (Hashed(config.seed, "tightness").uniform(labels) - 0.5)
    if config.picture_spread > 0:
        spread = spread + UNIFORM * config.picture_spread * (Hashed(config.seed, "clarity").uniform(ids) - 0.5)
    return np.clip(config.same_cosine + spread, 0.0, 1.0)


def _pictures(config: SyntheticConfig, ids: Int64, labels: Int64, mode: Int64, alike: Int64, scale: Float32) -> Float32:
    """Return what rows do not owe to their identity (B, D).

    Near copies have most of it in common, and so have rows of one style.
    """
    seed = config.seed
    picture = Hashed(seed, "picture").directions(ids, scale)
    copies = np.flatnonzero(Hashed(seed, "copy").uniform(ids) < config.copy_share)
    original = Hashed(seed, "original").bits(ids[copies]) % ORIGINALS
    original += (labels[copies] * config.modes + mode[copies]) * ORIGINALS
    copied = Hashed(seed, "copied").directions(original, scale)
    picture[copies] = _mix(picture[copies], copied, np.full(len(copies), math.sqrt(config.copy_cosine)))
    styled = alike[Hashed(seed, "styled").uniform(ids[alike]) < config.style_share]
    style = (
        labels[styled] // config.family_size * config.styles + Hashed(seed, "style").bits(ids[styled]) % config.styles
    )
    worded = Hashed(seed, "wording").directions(style, scale)
    picture[styled] = _mix(picture[styled], worded, np.full(len(styled), math.sqrt(config.style_cosine)))
    return picture


def _with_bad_pictures(config: SyntheticConfig, x: Float32, ids: Int64, common: Float32) -> Float32:
    """Return embeddings (B, D), those of bad pictures mixed with a common direction."""
    bad = np.flatnonzero(Hashed(config.seed, "bad").uniform(ids) < config.low_quality_share)
    strength = config.low_quality_strength * (0.5 + 0.5 * Hashed(config.seed, "strength").uniform(ids[bad]))
    x[bad] = _mix(x[bad], common[Hashed(config.seed, "kind").bits(ids[bad]) % config.low_quality_directions], strength)
    return x


def _with_offset(config: SyntheticConfig, x: Float32) -> Float32:
    """Return unit vectors (B, D) moved along the direction that all rows share."""
    level = np.full(x.shape[1], x.shape[1] ** -0.5, np.float32)
    middle = Hashed(config.seed, "middle").directions(np.zeros(1, np.int64), level)
    middle /= np.linalg.norm(middle)
    x = x * np.float32(math.sqrt(1 - config.offset)) + middle * np.float32(math.sqrt(config.offset))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def _mix(a: Float32, b: Float32, cosine: Float64) -> Float32:
    """Return vectors (B, D) at `cosine` (B,) to b, the rest from a.

    It holds where a and b have length 1 and stand at right angles.
    """
    return a * np.sqrt(1 - cosine**2)[:, None].astype(np.float32) + b * cosine[:, None].astype(np.float32)


def spectrum(width: int, effective_dimension: float) -> Float32:
    """Return the standard deviation (D,) of every dimension.

    Variances v sum to 1 and decay as exp(-i / t). Bisection finds the t at which 1 / sum(v ** 2) is
    `effective_dimension`, or `width` where that is smaller.
    """
    low, high = math.log(1e-3), math.log(1e7)  # from one direction to all of them alike
    for _ in range(HALVINGS):
        log_decay = (low + high) / 2
        variance = np.exp(-np.arange(width) / math.exp(log_decay))
        variance /= variance.sum()
        low, high = (log_decay, high) if 1 / (variance @ variance) < effective_dimension else (low, log_decay)
    return np.sqrt(variance).astype(np.float32)
