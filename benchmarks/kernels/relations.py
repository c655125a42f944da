"""The relation predictor: rows and pairs per second, beside PyTorch's encoder.

    python -m benchmarks relations

Arithmetic is set against the machine's own matrix product. The peer is the vanilla row network made of
torch.nn.TransformerEncoder, with all rows in one batch and torch's own threads; the same weights give the same scores.
"""

import copy
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measuring.machine import cores
from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.sets import generated
from benchmarks.measuring.tables import Row, Tables
from benchmarks.measuring.timing import interleaved
from raycluster.arrays import Float32, Int32, Int64
from raycluster.config.networks import EncoderConfig, FilterConfig, PredictorConfig, TrainingConfig
from raycluster.kernels.search.self_join import self_top_k
from raycluster.models import card as folder
from raycluster.models.bfloat16 import fast_bfloat16
from raycluster.models.build import build_network
from raycluster.models.inference import Predictor
from raycluster.models.scored_set import ScoredSet
from raycluster.synthetic.generator import SyntheticConfig

BACKGROUND = (0.0, 0.06)
"""Mean and standard deviation of the cosines of strangers that networks take: those of random vectors of width 256."""
GEMM = 2048
"""Rows and columns of a plain matrix product: large enough for the processor's peak."""
PAIRS_PER_ROW = 8
"""Pairs of one row: few are above the threshold of a walk."""
PEER = "torch.nn.TransformerEncoder"
VANILLA = EncoderConfig(layers=2, heads=4, width=128, hidden=512)
DIFFERENTIAL = replace(VANILLA, attention="differential")
SDT, MOE_SDT = replace(DIFFERENTIAL, mask="topk"), replace(DIFFERENTIAL, mask="mixture")
NARROW = 256
PUBLISHED = EncoderConfig(layers=3, heads=8, hidden=1024, attention="differential", mask="mixture")
SMALL = replace(MOE_SDT, width=64, hidden=256)


@dataclass
class Args(Options):
    """Size of the set, and how much of it is scored."""

    rows: int = 2048
    """Rows scored by the row form, of a set 10 times as large."""
    pairs: int = 256
    """Pairs scored by the pair form at the published size; 8 times as many at the small size."""
    k: int = 80
    width: int = 256
    mean_size: float = 40
    """Rows per identity: where all are larger than k, every key is visible."""
    rounds: int = 3


@dataclass
class Data:
    """Rows of generated identities, their neighbors and their Top-K.

    Top-K is the size of a row's identity.
    """

    vectors: Float32
    neighbor: Int32
    topk: Int64

    @classmethod
    def of(cls, args: Args) -> "Data":
        """Return the generated set, the same for the same arguments."""
        vectors, labels = generated(SyntheticConfig(rows=10 * args.rows, width=args.width, mean_size=args.mean_size))
        neighbor, _ = self_top_k(vectors, args.k, 2)
        return cls(vectors, neighbor, np.minimum(np.bincount(labels)[labels], args.k))

    def scorer(self, predictor: PredictorConfig, topk: Int64) -> Predictor:
        """Return the scorer of an untrained predictor, with one thread per core."""
        parts = ("config", "thresholds", "curves", "metrics", "history", "versions")
        nothing: dict[str, Any] = {part: {} for part in parts}
        training = TrainingConfig(filter=FilterConfig(network="transformer"), predictor=predictor)
        card = folder.Card(
            recipe="", training=training, k=self.neighbor.shape[1], embedding_width=self.vectors.shape[1], data=[],
            confidence=[], seconds=0, **nothing,
        )  # fmt: skip
        torch.manual_seed(0)
        threads = cores()
        with tempfile.TemporaryDirectory() as url:
            card = folder.save(url, card, {"predictor": build_network("predictor", card).state_dict()})
            facts = {"background": BACKGROUND}
            similarity = np.empty(self.neighbor.shape, np.float32)  # neither form reads it
            scored_set = ScoredSet(self.neighbor, similarity, self.vectors, facts, topk)
            return Predictor.open(url, card, scored_set, threads=threads)


def flop(scorer: Predictor, work: Callable[[], Any]) -> int:
    """Return the FLOP of the matrix products that the scorer's network does in `work`."""
    forward, counts = scorer.network.forward, []

    def counting(*inputs: Any) -> Any:
        with FlopCounterMode(display=False) as counter:  # it sees its own thread alone
            logits = forward(*inputs)
        counts.append(counter.get_total_flops())
        return logits

    with mock.patch.object(scorer.network, "forward", counting):
        work()
    return sum(counts)


class Peer(nn.Module):
    """torch.nn.TransformerEncoder in place of a vanilla Encoder, with its weights."""

    def __init__(self, ours: Any, config: EncoderConfig) -> None:
        super().__init__()
        self.width, self.embed = ours.width, ours.embed
        layer = nn.TransformerEncoderLayer(
            ours.width, config.heads, config.hidden, 0, nn.functional.gelu, batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, config.layers, ours.norm, enable_nested_tensor=False)
        for theirs, own in zip(self.encoder.layers, ours.layers, strict=True):
            parts, attention = {"norm1": own.attention_norm, "norm2": own.ffn_norm}, own.attention
            parts |= {"linear1": own.ffn[0], "linear2": own.ffn[3]}
            state = {f"{name}.{key}": value for name, part in parts.items() for key, value in part.state_dict().items()}
            weights = torch.cat([part.weight for part in (attention.q, attention.k, attention.v)])
            for name, weight in (("in_proj_", weights), ("out_proj.", attention.out.weight)):
                state[f"self_attn.{name}weight"] = weight
                state[f"self_attn.{name}bias"] = torch.zeros(len(weight))
            theirs.load_state_dict(state)

    def forward(self, tokens: Tensor, visible: Tensor, position: Tensor, count: Tensor | None) -> Any:
        """Return what Encoder returns where all keys are visible."""
        assert visible.all()
        assert count is None, "the peer has no mask of the highest scores"
        return self.encoder(self.embed(tokens) + position)


def peer(scorer: Predictor, rows: int) -> Callable[[], npt.NDArray[np.float32]]:
    """Return a call that scores the first rows by PyTorch's encoder, in one batch."""
    network: Any = copy.deepcopy(scorer.network)
    network.encoder = Peer(network.encoder, VANILLA).to(scorer.near.device).eval()

    def score() -> npt.NDArray[np.float32]:
        with (
            torch.inference_mode(),
            torch.autocast(scorer.near.device.type, torch.bfloat16, enabled=scorer.runner.is_bfloat16),
        ):
            logits = network(*scorer.near.gather(np.arange(rows)), None, BACKGROUND)
        return np.asarray(logits.float().cpu())

    return score


def gemm(device: torch.device, dtype: torch.dtype) -> Callable[[], float]:
    """Return a call of a matrix product of 2 GEMM^3 FLOP, with torch's own threads."""
    a = torch.randn(GEMM, GEMM, device=device).to(dtype)
    return lambda: float((a @ a)[0, 0])


def row_networks(args: Args, data: Data) -> dict[str, tuple[EncoderConfig, Int64]]:
    """Return the encoder of every row network, and its Top-K (N,)."""
    networks = {"vanilla": VANILLA, "differential": DIFFERENTIAL, "SDT": SDT, "MoE-SDT": MOE_SDT}
    networks |= {f"{name}, hidden {NARROW}": replace(networks[name], hidden=NARROW) for name in ("vanilla", "MoE-SDT")}
    every = np.full(len(data.topk), args.k)
    return {name: (encoder, data.topk) for name, encoder in networks.items()} | {
        "MoE-SDT, Top-K is K": (MOE_SDT, every)
    }


def tables(args: Args) -> Tables:
    """Yield the rates of every network, which score the same rows or pairs in turn."""
    data = Data.of(args)
    works: dict[str, Callable[[], Any]] = {}
    samples: dict[str, int] = {}
    flops: dict[str, int] = {}
    for name, (encoder, topk) in row_networks(args, data).items():
        scorer = data.scorer(PredictorConfig(form="row", tokens="gram", encoder=encoder), topk)
        works[name], samples[name] = partial(scorer.logits, 0, args.rows), args.rows
        flops[name] = flop(scorer, works[name])
        if encoder is VANILLA:
            works[PEER], samples[PEER], flops[PEER] = peer(scorer, args.rows), args.rows, flops[name]
            error = 0.1 if scorer.runner.is_bfloat16 else 1e-4
            assert np.allclose(works[PEER]()[:, 1:], works[name]()[:, 1:], atol=error)
    for name, encoder, pairs in (("pair, published", PUBLISHED, args.pairs), ("pair, small", SMALL, 8 * args.pairs)):
        scorer = data.scorer(PredictorConfig(form="pair", encoder=encoder), data.topk)
        chosen = np.zeros((pairs // PAIRS_PER_ROW, args.k), np.bool_)
        chosen[:, 1 : 1 + PAIRS_PER_ROW] = True
        works[name], samples[name] = partial(scorer.logits_of_pairs, 0, len(chosen), chosen), int(chosen.sum())
        flops[name] = flop(scorer, works[name])
    products = {"gemm float32": torch.float32}
    if fast_bfloat16(scorer.near.device):
        products["gemm bfloat16"] = torch.bfloat16
    works |= {name: gemm(scorer.near.device, dtype) for name, dtype in products.items()}
    times = interleaved(works, args.rounds)
    peaks = {name: 2e-9 * GEMM**3 / min(times[name]) for name in products}
    title = f"{10 * args.rows:,} rows x {args.width}, K {args.k}, mean Top-K {data.topk.mean():.1f}"
    yield title, [
        *(rate_of(name, times[name], count, flops[name], peaks) for name, count in samples.items()),
        *({"network": name, "seconds": times[name], "GFLOP/s": rate} for name, rate in peaks.items()),
    ]  # fmt: skip


def rate_of(name: str, seconds: list[float], count: int, flop: int, peaks: dict[str, float]) -> Row:
    """Return a network's rate, and its share of the rates of matrix products."""
    gflops = 1e-9 * flop / min(seconds)
    return {
        "network": name, "seconds": seconds, "per second": round(count / min(seconds)), "MFLOP": round(flop / count / 1e6, 1),
        "GFLOP/s": round(gflops, 1), **{f"share of {peak}": round(gflops / best, 2) for peak, best in peaks.items()},
    }  # fmt: skip


BENCHMARK = Benchmark(Args, tables, quick=lambda _: Args(rows=64, pairs=16, k=12, width=32, mean_size=8, rounds=1))
