"""The stages of the pipeline, in order, with what each reads.

ids           the input's files
order         ids
ranks         order
ingest        the input's files, ranks
embeddings    ranks, ingest
duplicates    embeddings
coarse_lists  embeddings, duplicates
knn           embeddings, duplicates, coarse_lists
topk          knn
contexts      knn
relations     knn, topk, contexts
density       knn, relations
edges         knn, topk, relations, density
communities   edges
rejoin        communities, edges, knn
labels        embeddings, duplicates, knn, relations, edges, communities, rejoin
"""

from raycluster.config.stages import Config
from raycluster.stages.coarse_lists import COARSE_LISTS
from raycluster.stages.communities import COMMUNITIES
from raycluster.stages.contexts import CONTEXTS
from raycluster.stages.density import DENSITY
from raycluster.stages.duplicates import DUPLICATES
from raycluster.stages.edges import EDGES
from raycluster.stages.embeddings import EMBEDDINGS
from raycluster.stages.ids import IDS
from raycluster.stages.ingest import INGEST
from raycluster.stages.knn import KNN
from raycluster.stages.labels import LABELS
from raycluster.stages.order import ORDER
from raycluster.stages.ranks import RANKS
from raycluster.stages.rejoin import REJOIN
from raycluster.stages.relations import RELATIONS
from raycluster.stages.stage import Stage
from raycluster.stages.topk import TOPK

STAGES: tuple[Stage, ...] = (
    IDS, ORDER, RANKS, INGEST, EMBEDDINGS, DUPLICATES, COARSE_LISTS, KNN, TOPK, CONTEXTS, RELATIONS, DENSITY, EDGES,
    COMMUNITIES, REJOIN, LABELS,
)  # fmt: skip


def wanted_stages(config: Config) -> list[Stage]:
    """Return the stages of a recipe, in order."""
    return [stage for stage in STAGES if stage.is_wanted(config)]


def stage_named(name: str) -> Stage:
    """Return the stage of a name."""
    return next(stage for stage in STAGES if stage.name == name)
