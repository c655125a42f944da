"""Who computed a run: arithmetic, versions, nodes, and the slowest shards."""

from raycluster.pipeline.arithmetic import ARITHMETIC, StoredArithmetic
from raycluster.stages import wanted_stages
from raycluster.storage.stored_tables import StoredTables
from raycluster.storage.tables import Facts

SLOWEST = 5
"""Shards that are named as the slowest. More make a longer list."""
HERE = "driver"
"""Node of a shard that ran in the driver's process."""


def workers(tables: StoredTables) -> Facts:
    """Return what the manifest holds about the processes that computed a run."""
    stored = tables.folder.store.record(ARITHMETIC, StoredArithmetic)
    nodes: dict[str, int] = {}
    shards: list[Facts] = []
    for stage in wanted_stages(tables.config):
        for number, facts in enumerate(tables.task_facts(stage.name)):
            node = str(facts.get("node", HERE))
            nodes[node] = nodes.get(node, 0) + 1
            shards.append({"stage": stage.name, "shard": number, "seconds": facts["seconds"], "node": node})
    decided: Facts = {}
    if stored is not None:
        decided = {"precision": stored.precision, "device": stored.device}
        decided["processors"] = stored.shared.variables or stored.shared.kind
    return {
        **decided,
        "versions": {} if stored is None else stored.versions,
        "shards_by_node": nodes,
        "slowest": sorted(shards, key=lambda shard: -shard["seconds"])[:SLOWEST],
    }
