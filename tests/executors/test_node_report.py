"""What nodes report: folders that they do not see and versions that differ are refused by name."""

from dataclasses import replace
from pathlib import Path

import pytest

from raycluster.errors import InputError, RayclusterError
from raycluster.executors.node_report import NodeReport, Sighted, report, require_alike, versions
from raycluster.storage.parquet_input import describe_input
from support import labelled

OWN = NodeReport("of the driver", {"numpy": "2.4.0", "torch": "2.13.0"})


@pytest.fixture
def sighted(tmp_path: Path) -> Sighted:
    return Sighted(describe_input(labelled.written(tmp_path)), str(tmp_path / "run"), None)


def test_the_driver_sees_its_own_folders_and_leaves_no_trace(sighted: Sighted, tmp_path: Path) -> None:
    with sighted as sight:
        assert report("here", sight).missing == ""
        assert (tmp_path / "run").is_dir()
    assert not (tmp_path / "run").exists()


def test_a_folder_of_the_user_stays(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with Sighted(describe_input(labelled.written(tmp_path)), str(tmp_path / "run"), None):
        assert list((tmp_path / "run").iterdir())
    assert list((tmp_path / "run").iterdir()) == []


def test_what_a_node_does_not_see_is_in_its_report(sighted: Sighted, tmp_path: Path) -> None:
    with sighted as sight:
        elsewhere = str(tmp_path / "elsewhere")
        assert report("there", replace(sight, input_url=elsewhere)).missing == f"the input {elsewhere}"
        assert report("there", replace(sight, size=sight.size + 1)).missing == f"the input {sight.input_url}"
        assert report("there", replace(sight, output_url=elsewhere)).missing == f"the folder {elsewhere}"
        assert report("there", replace(sight, model_url=elsewhere)).missing == f"the folder {elsewhere}"


def test_a_node_that_sees_another_folder_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"Node 10\.0\.0\.7 does not see the folder /run; use an object store"):
        require_alike(OWN, [replace(OWN, node="10.0.0.7", missing="the folder /run")])


def test_other_versions_are_refused_by_name() -> None:
    other = NodeReport("10.0.0.7", {"numpy": "2.3.0", "torch": "2.13.0"})
    with pytest.raises(RayclusterError, match=r"Node 10\.0\.0\.7 has numpy 2\.3\.0, and other nodes .* have 2\.4\.0;"):
        require_alike(OWN, [replace(OWN, node="10.0.0.6"), other])


def test_a_package_that_the_driver_lacks_is_compared_among_nodes() -> None:
    nodes = [replace(OWN, node=node, versions=OWN.versions | {"faiss": "1.12"}) for node in ("one", "two")]
    require_alike(OWN, nodes)
    with pytest.raises(RayclusterError, match=r"Node three has faiss 1\.15"):
        require_alike(OWN, [*nodes, NodeReport("three", {"faiss": "1.15"})])


def test_versions_are_those_of_the_packages_that_decide_results() -> None:
    import numpy as np
    import torch

    found = versions()
    assert {"raycluster", "numpy", "torch", "numba", "pyarrow"} <= found.keys()
    assert found["numpy"] == np.__version__
    assert found["torch"] == torch.__version__.partition("+")[0]
