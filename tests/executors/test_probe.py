"""Every node of a cluster reports; the driver's own node needs no probe."""

from __future__ import annotations  # Ray is imported when a test runs: the fast tests do without it


def test_a_cluster_of_this_machine_alone_has_no_other_node_to_ask() -> None:
    import ray

    from raycluster.executors.fleet import live_nodes
    from raycluster.executors.probe import driver_is_worker, probe_nodes

    assert probe_nodes(None) == []
    assert driver_is_worker()
    assert [node["NodeID"] for node in live_nodes()] == [ray.get_runtime_context().get_node_id()]
