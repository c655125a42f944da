"""Runs with a model for tests: a model folder of networks before any training, and 150 rows for them to score."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from raycluster.config.execution import Execution
from raycluster.config.load import load_config
from raycluster.config.networks import EncoderConfig, FilterConfig, PredictorConfig, TrainingConfig
from raycluster.kernels.search.nearest import exact_top_k
from raycluster.models import card as folder
from raycluster.models.build import build_network
from raycluster.models.card import Card
from raycluster.models.neighbor_profiles import NeighborProfiles
from raycluster.models.networks.adaptive_filter import AdaptiveFilter
from raycluster.models.networks.face_transformer import FaceTransformer
from raycluster.models.networks.relation_predictor import RowPredictor
from raycluster.models.networks.relative import RelativePredictor
from raycluster.models.set_statistics import SetStatistics
from raycluster.pipeline import run as pipeline
from raycluster.storage.stored_tables import StoredTables
from support.data import unit_rows

ROWS, WIDTH, K = 150, 16, 12
SIZE: dict[str, Any] = {"layers": 1, "heads": 2, "width": 16, "hidden": 32, "dropout": 0.0}


def rows() -> Any:
    """The 150 rows, unit vectors: six about each of 25 centers."""
    vectors = unit_rows(ROWS // 6, WIDTH, 0).repeat(6, axis=0) + 0.6 * unit_rows(ROWS, WIDTH, 1)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def run(folder: Path, recipe: str, shards: int = 1, *, name: str = "run", **keys: Any) -> StoredTables:
    """Return the tables of the 150 rows clustered by a recipe in `folder`/`name`.

    `keys` are laid over the recipe; `knn.k` is 12 unless they set it.
    """
    source = folder / "rows.parquet"
    if not source.exists():
        columns = {"id": pa.array(range(ROWS)), "embedding": pa.array(list(rows()), pa.list_(pa.float32()))}
        pq.write_table(pa.table(columns), source)
    config = load_config(recipe, {**keys, "knn": {"k": K, **keys.get("knn", {})}}, "test")
    pipeline.cluster(str(source), str(folder / name), config, Execution("local", shards=shards))
    return pipeline.open_run(str(folder / name))


def column(run: StoredTables, stage: str, name: str) -> Any:
    """A column of a stage for all rows: (N,), or (N, width) of vectors."""
    if (stage, name) == ("embeddings", "embedding"):
        return np.array(run.column("ingest", "embedding", "float32"))
    return np.concatenate([block[name] for block in run.blocks(stage, [name])])


def model(
    url: str | Path,
    form: Literal["none", "pair", "row", "relative", "linkage", "distance"] = "row",
    mask: Literal["none", "topk", "mixture"] = "mixture",
    *,
    recipe: str = "sdt-row",
    hop2: int = 5,
    width: int = 16,
    **values: Any,
) -> Card:
    """Return the card of a model that is written for `recipe`: an adaptive filter and a predictor.

    Parameters
    ----------
    url
        The model folder.
    form
        Form of the predictor; none leaves it out.
    mask
        The attention's mask; the forms `linkage`, `distance` and `relative` have none.
    recipe
        The recipe that the card names.
    hop2, width
        Neighbors that a `linkage` or `distance` compares, and the width of its encoder.
    **values
        Other values of the card.
    """
    if form in ("linkage", "distance"):
        encoder = EncoderConfig(**{**SIZE, "width": width}, norm="after")
        predictor = PredictorConfig(form=form, tokens="embedding", hop2=hop2, encoder=encoder)
        values = {"embedding_width": WIDTH, **values}
    elif form == "relative":
        predictor = PredictorConfig(form=form, tokens="gram", encoder=EncoderConfig(**SIZE))
    else:
        encoder = EncoderConfig(**SIZE, attention="differential", mask=mask, mask_step=2)
        predictor = PredictorConfig(form=form, tokens="gram", encoder=encoder)
    training = TrainingConfig(
        filter=FilterConfig(network="transformer", tokens="gram", output="sigmoid", encoder=EncoderConfig(**SIZE)),
        predictor=predictor,
    )
    empty: dict[str, Any] = {"curves": {}, "confidence": [], "metrics": {}, "history": {}, "seconds": 0.0}
    values = {"embedding_width": None, "data": [], "thresholds": {}, "versions": {}, **empty, **values}
    config = asdict(load_config(recipe, {"knn": {"k": K}}, "test"))
    card = Card(recipe=recipe, config=config, training=training, k=K, **values)
    return folder.save(str(url), card, {name: _weights(name, card) for name in _networks(form)})


def _networks(form: str) -> list[Literal["filter", "predictor"]]:
    return ["filter"] if form == "none" else ["filter", "predictor"]


def _weights(name: Literal["filter", "predictor"], card: Card) -> dict[str, torch.Tensor]:
    """Random weights under which the logits of rows and their random neighbors have mean 0 and a spread of 2."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        network = build_network(name, card).eval()
        noise = torch.linspace(0, 2, K)[:, None] ** torch.linspace(0.2, 2, 256)[:, None, None]
        vectors = torch.randn(256, 1, WIDTH) + noise * torch.randn(256, K, WIDTH)
        logits = _logits(network, vectors / vectors.norm(dim=2, keepdim=True))
    if getattr(network, "linkage_predictor", network) is None:
        return network.state_dict()  # a distance has neither scale nor offset
    scale, last = 2 / logits.std(), getattr(network, "linkage_predictor", network).head[-1]
    last.weight.data *= scale
    last.bias.data *= scale
    last.bias.data[-1] -= scale * logits.mean()
    return network.state_dict()


def _on_the_rows(network: RelativePredictor) -> torch.Tensor:
    """Logits of the 150 rows. The statistics of the set shift them, so random vectors would not do."""
    vectors = rows()
    neighbor, similarity = exact_top_k(vectors, np.arange(ROWS, dtype=np.int32), vectors, K)
    scales = network.statistics_tensor([SetStatistics.measure(neighbor, similarity, vectors)], torch.device("cpu"))
    back, profile = NeighborProfiles(neighbor, similarity).gather(np.arange(ROWS), K)
    context = (torch.from_numpy(vectors[neighbor]), torch.ones(ROWS, K).bool(), torch.from_numpy(back))
    return network(*context, torch.from_numpy(profile), scales, torch.zeros(ROWS, dtype=torch.int64))[:, 1:]


def _logits(network: Any, vectors: torch.Tensor) -> torch.Tensor:
    background, present, topk = (0.0, WIDTH**-0.5), torch.ones(vectors.shape[:2]).bool(), torch.full((256,), K // 2)
    if isinstance(network, AdaptiveFilter):
        return network(vectors, present, background).logit()
    if isinstance(network, RelativePredictor):
        return _on_the_rows(network)
    if isinstance(network, FaceTransformer):
        place = torch.randint(0, 256, (256, K))
        return network(vectors[:, : network.nearest], present[:, : network.nearest], place, present)[:, 1:]
    if isinstance(network, RowPredictor):
        return network(vectors, present, topk, background)[:, 1:]
    return network(vectors, vectors.roll(1, 0), present, present, topk, topk)
