"""How a run starts: a new plan in an empty folder, or the plan that is there if it is of this input and configuration."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from raycluster._version import __version__
from raycluster.config.load import differences
from raycluster.config.stages import Config
from raycluster.errors import ConfigError
from raycluster.stages.ingest import ranks_path
from raycluster.stages.knn import require_rows, settled
from raycluster.storage.object_store import Store
from raycluster.storage.parquet_input import encode_ranks, make_plan
from raycluster.storage.run_folder import Run, Stage

PUBLISHED = ("MANIFEST.json", "clusters.parquet", "dropped.parquet", "labels")


def begin(
    url: str,
    described: dict[str, Any],
    config: Config,
    shards: int | None,
    replan: bool,
    stages: Sequence[Stage],
    say: Callable[[str], None],
) -> tuple[Run, bool]:
    """The run at `url` and whether this call planned it.

    Raises ConfigError where the folder belongs to another input, or to another configuration and `replan` is false.
    """
    store = Store(url)
    threads = len(os.sched_getaffinity(0))
    stored = store.get("plan.json")
    if stored is not None:
        plan = json.loads(stored)
        if {name: plan["input"].get(name) for name in described} != described:
            raise ConfigError(f"The run folder {url} was made from another input; choose another --output.")
        config = settled(config, plan["input"]["rows"])
        if changed := differences(plan["config"], asdict(config)):
            _replan(store, plan, config, changed, replan)
        return Run(url, stages, threads), False
    if store.get("MANIFEST.json") is not None or store.files("labels"):
        raise ConfigError(f"The folder {url} holds results without a plan; choose an empty --output.")
    plan, ranks = make_plan(config, described, shards)
    settled_config = settled(config, plan["input"]["rows"])
    plan = {"version": __version__, "config": asdict(settled_config), **plan}
    say(f"{plan['input']['rows']:,} rows of width {plan['input']['width']} in {plan['shards']} shards")
    draft = Run(url, stages, threads, plan)
    for piece, rank in enumerate(ranks):
        store.put(ranks_path(draft, piece), encode_ranks(rank))
    if not store.create("plan.json", json.dumps(plan).encode()):
        return begin(url, described, config, shards, replan, stages, say)
    return draft, True


def _replan(store: Store, plan: dict[str, Any], config: Config, changed: list[str], allowed: bool) -> None:
    """Take back what was published and store the plan with another configuration, or say why not."""
    columns = [name for name in ("id_column", "embedding_column") if plan["config"][name] != getattr(config, name)]
    if not allowed or columns:
        advice = "choose another --output"
        if not columns:
            advice += ", or pass --replan to run the changed stages again"
        raise ConfigError(
            f"The run folder {store.url} was made with another configuration ({', '.join(changed)}); {advice}."
        )
    require_rows(config.knn, plan["input"]["rows"], plan["input"]["url"])
    for published in PUBLISHED:
        store.delete(published)
    store.put("plan.json", json.dumps({**plan, "config": asdict(config)}).encode())
