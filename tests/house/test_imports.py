"""The floors of the house: no circle among modules or packages, and no import that climbs."""

import networkx as nx
import pytest

from support.package import PACKAGE, imports, modules

LAYERS = [
    ("secrecy",),
    ("_version", "errors", "arrays"),
    ("config",),
    ("kernels",),
    ("limits",),
    ("storage",),
    ("models",),
    ("stages",),
    ("executors",),
    ("pipeline",),
    ("evaluation", "synthetic"),
    ("training",),
    ("identities", "estimate"),
    ("review",),
    ("clusterer",),
    ("commands",),
    ("command_line",),
    (PACKAGE, "__main__"),
]
"""Packages and lone modules from the ground up: one may import what lies below it, and of its own layer only itself."""

APART = {"kernels": {"config"}, "storage": {"kernels", "limits"}}
"""What lies below and is not to be imported all the same."""

ONLY = {
    "ray": {"executors"},
    "fsspec": {"storage"},
    "s3fs": {"storage"},
    "torch.distributed": {"training", "executors"},
}
"""Libraries of infrastructure and the packages that may import them."""

MATHEMATICS = ("kernels", "limits", "models.networks")
"""What computes on arrays alone, so that it can be read and tested without a file, a cluster or a process group."""

HEIGHT = {name: height for height, layer in enumerate(LAYERS) for name in layer}


def package(module: str) -> str:
    """The package below `raycluster` a module lies in; a lone module's own name; of a command, that it is one."""
    if module.endswith(".__main__"):
        return "__main__"
    return PACKAGE if module == PACKAGE else module.split(".")[1]


def graph() -> nx.DiGraph:
    """The modules and who imports whom."""
    edges = [(module, name) for module, path in modules().items() for name in imports(path) if name in modules()]
    return nx.DiGraph(edges)


def circles(edges: nx.DiGraph) -> list[list[str]]:
    """Groups of nodes that reach each other."""
    return [sorted(group) for group in nx.strongly_connected_components(edges) if len(group) > 1]


def within(name: str, prefix: str) -> bool:
    """Whether a dotted name is the prefix or lies below it."""
    return f"{name}.".startswith(f"{prefix}.")


def test_no_circle_among_modules() -> None:
    assert circles(graph()) == []


def test_no_circle_among_packages() -> None:
    edges = {(package(a), package(b)) for a, b in graph().edges if package(a) != package(b)}
    assert circles(nx.DiGraph(sorted(edges))) == []


def test_every_module_has_its_layer() -> None:
    assert {package(module) for module in modules()} <= HEIGHT.keys()


@pytest.mark.parametrize("name", HEIGHT)
def test_no_import_climbs(name: str) -> None:
    outward = [(a, b) for a, b in graph().edges if package(a) == name != package(b)]
    assert [f"{a} > {b}" for a, b in sorted(outward) if HEIGHT[package(b)] >= HEIGHT[name]] == []
    assert [f"{a} > {b}" for a, b in sorted(outward) if package(b) in APART.get(name, ())] == []


@pytest.mark.parametrize("library", ONLY)
def test_infrastructure_is_imported_where_it_belongs(library: str) -> None:
    users = {module for module, path in modules().items() if any(within(name, library) for name in imports(path))}
    assert {module for module in users if package(module) not in ONLY[library]} == set()


def test_mathematics_reaches_no_file_cluster_or_process_group() -> None:
    edges = graph()
    pure = {module for module in modules() if any(within(module, f"{PACKAGE}.{name}") for name in MATHEMATICS)}
    reached = pure.union(*(nx.descendants(edges, module) for module in pure if module in edges))
    banned = {
        f"{module} > {name}"
        for module in reached
        for name in imports(modules()[module])
        if any(within(name, library) for library in ONLY)
    }
    assert banned == set()
