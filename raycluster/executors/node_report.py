"""What a node reports before a run: versions, arithmetic, and what it sees.

A node whose versions differ from the driver's is refused by name: its results could differ in their last bits. So is a node
that does not see a folder: a local path means another folder there, or none.
"""

import os
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import metadata

from raycluster._version import __version__
from raycluster.errors import InputError, RayclusterError, StorageError
from raycluster.models.bfloat16 import fast_on_cpu, fast_on_gpu
from raycluster.models.processors import Processor, own_processor
from raycluster.storage.object_store import Store
from raycluster.storage.records import InputDescription

PACKAGES = ("numpy", "torch", "numba", "faiss", "pyarrow")
"""Packages whose versions decide the bits of a result."""
DISTRIBUTIONS = {"faiss": ("faiss-cpu", "faiss-gpu")}
"""Names under which a package may be installed, where they are not its own."""


@dataclass(frozen=True)
class Sight:
    """What every node has to see."""

    input_url: str
    file: str
    """A file of the input; empty where the input is one file."""
    size: int
    """Its bytes."""
    output_url: str
    mark: str
    """An object that the driver has put into the output."""
    model_url: str | None = None
    """Folder of the model; none where the run needs none or takes a shipped one."""


@dataclass(frozen=True)
class NodeReport:
    """One node of the cluster, as a process on it finds it."""

    node: str
    """Its address."""
    versions: dict[str, str] = field(default_factory=dict)
    has_bfloat16: bool = False
    """Whether its processor multiplies bfloat16 matrices."""
    has_gpu_bfloat16: bool | None = None
    """Whether its GPU does; none where it has none."""
    missing: str = ""
    """A folder that it does not see."""
    processor: Processor = field(default_factory=Processor)
    is_worker: bool = True
    """Whether tasks may run there: not on a head without CPUs."""


def versions() -> dict[str, str]:
    """Return the versions of packages that decide results, by name.

    A package that is missing is left out. Builds of one version for CPUs and GPUs count as one: the part after a plus is dropped.
    """
    found = {"raycluster": __version__}
    for package in PACKAGES:
        for name in DISTRIBUTIONS.get(package, (package,)):
            try:
                found[package] = metadata.version(name).partition("+")[0]
            except metadata.PackageNotFoundError:
                continue
    return found


def report(node: str, sight: Sight | None = None) -> NodeReport:
    """Return what this process finds on its node.

    Parameters
    ----------
    node
        Its address, for messages.
    sight
        What it has to see; none checks nothing.

    Returns
    -------
    NodeReport
        Its versions and arithmetic, and the folder that it does not see.
    """
    missing = "" if sight is None else next(_missing(sight), "")
    return NodeReport(node, versions(), fast_on_cpu(), fast_on_gpu(), missing, own_processor())


def _missing(sight: Sight) -> Iterator[str]:
    """Yield the folders that this node does not see."""
    try:
        if Store(sight.input_url).size(sight.file) != sight.size:
            yield f"the input {sight.input_url}"
    except (OSError, InputError, StorageError):
        yield f"the input {sight.input_url}"
    for url, name in ((sight.output_url, sight.mark), (sight.model_url, "card.json")):
        try:
            if url is not None and Store(url).get(name) is None:
                yield f"the folder {url}"
        except (OSError, StorageError):
            yield f"the folder {url}"


class Sighted:
    """Puts a mark into the output while nodes check their sight of it."""

    def __init__(self, described: InputDescription, output_url: str, model_url: str | None) -> None:
        first = described.files[0]
        self.store, mark = Store(output_url), f".visible-{uuid.uuid4().hex}"
        self._is_new = self.store.is_local and not os.path.exists(self.store.url)
        self.sight = Sight(described.url, first.path, first.size, output_url, mark, model_url)

    def __enter__(self) -> Sight:
        self.store.put(self.sight.mark, b"raycluster checks that every node sees this folder")
        return self.sight

    def __exit__(self, *_: object) -> None:
        self.store.delete(self.sight.mark)
        if self._is_new:
            self.store.remove_empty_folders("")


def require_alike(own: NodeReport, nodes: Sequence[NodeReport]) -> None:
    """Raise RayclusterError for a node that cannot take part.

    It sees another folder, or has other versions.

    Parameters
    ----------
    own
        The driver's report. A package that the driver lacks is compared with the first node that has it.
    nodes
        Reports of the other nodes.
    """
    expected = dict(own.versions)
    for node in nodes:
        if node.missing:
            raise InputError(
                f"Node {node.node} does not see {node.missing}; use an object store (s3://...) or a folder that every "
                "node has mounted at the same path."
            )
        for package, version in node.versions.items():
            if expected.setdefault(package, version) != version:
                raise RayclusterError(
                    f"Node {node.node} has {package} {version}, and other nodes of this run have {expected[package]}; "
                    "install the same versions on every node, or results would depend on which node computed them."
                )
