"""Whether a worker of this processor computes the bits of its run."""

from dataclasses import replace

from raycluster.errors import DamagedError
from raycluster.models.processors import Processor, Shared, why_refused
from raycluster.storage.object_store import Store
from raycluster.storage.records import encode

FIRST = "processor.json"
"""Where the first worker of a run that began without nodes leaves its kind of processor, put only if absent."""


def refusal_of_processor(store: Store, shared: Shared, own: Processor, node: str) -> str:
    """Return why a processor cannot take part; empty where it can.

    Parameters
    ----------
    store
        The run folder.
    shared
        What the run has decided.
    own
        The processor at hand.
    node
        Its address, for the sentence.
    """
    if not shared.kind and not shared.variables:
        shared = replace(shared, kind=_first_kind(store, str(own)))
    why = why_refused(shared, own)
    return why and (
        f"Node {node} has {why}: last digits of scores would depend on which node computed them. Leave it out, or run the "
        "same command with --processors any, which computes scores again with instructions that x86 processors share."
    )


def _first_kind(store: Store, own: str) -> str:
    """Return the kind of processor that came first to the run."""
    for _ in range(2):
        store.create(FIRST, encode({"kind": own}))
        try:
            found = store.record(FIRST, dict[str, str])
        except DamagedError:
            store.delete(FIRST)
            continue
        if found is not None:
            return found["kind"]
    return own
