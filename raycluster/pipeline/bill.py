"""What machines cost, stage by stage: whole ones, as an autoscaler runs them.

The driver's machine runs from the first to the last stage. Workers start when a stage wants them and stop when none has for
some minutes. An estimate and the summary of a run add up by these same rules and prices.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from raycluster.executors.machines import MACHINES
from raycluster.executors.sizing import own_machine
from raycluster.stages import wanted_stages
from raycluster.storage.stored_tables import StoredTables

START_SECONDS = 240.0
"""Seconds from a request for a machine to a worker on it: start, installation, Ray. Assumed; an image takes half of it."""
IDLE_SECONDS = 300.0
"""Seconds that a machine stays without work, `idle_timeout_minutes` of cluster.yaml. Machines that idle are paid for."""
HOUR = 3600.0  # seconds


@dataclass
class Bill:
    """The machines that run now, and what they cost. Prices are US dollars per hour."""

    driver: float
    """Price of the driver's machine."""
    workers: float = 0.0
    """Price of all workers' machines that run."""
    idle: float = math.inf
    """Seconds since a stage last had workers."""

    @property
    def is_cold(self) -> bool:
        """Whether no worker runs, so that the next stage waits for machines."""
        return self.idle >= IDLE_SECONDS

    def charge(self, seconds: float, workers: Sequence[float]) -> float:
        """Return what one stage costs in US dollars.

        Parameters
        ----------
        seconds
            How long it takes.
        workers
            Prices of the machines that work, the driver's left out; none where the driver works alone.
        """
        needed = sum(workers)
        running = 0.0 if self.is_cold else self.workers
        waiting = min(seconds, IDLE_SECONDS - (0.0 if needed else min(self.idle, IDLE_SECONDS)))
        spare = max(0.0, running - needed) * waiting
        if needed:
            self.workers, self.idle = needed, 0.0
        else:
            self.idle += seconds
        return ((self.driver + needed) * seconds + spare) / HOUR


def price_of(machine: str | None) -> float | None:
    """Return what a machine costs per hour in US dollars; none without a price."""
    return {known.name: known.usd_hour for known in MACHINES}.get(machine or "")


def usd_so_far(hours: float, machine_hours: float, workers: Collection[str]) -> float | None:
    """Return what machines have cost in US dollars while a run is at work.

    None where the driver's has no price, or none of the workers' has.

    Parameters
    ----------
    hours
        Of the driver's machine.
    machine_hours
        Of all machines, the driver's included.
    workers
        Kinds of the workers' machines, one per machine. Those that have not reported yet cost as much on average.
    """
    own, others = price_of(own_machine()), [price_of(machine) for machine in workers]
    priced = [price for price in others if price is not None]
    rest = machine_hours - hours
    if own is None or (rest > 0 and not priced):
        return None
    return round(own * hours + (rest * sum(priced) / len(priced) if priced else 0.0), 4)


def usd_of_run(tables: StoredTables, seconds: dict[str, float]) -> float | None:
    """Return what a run's machines cost in US dollars.

    None where one of them has no price. `seconds` are those of every stage, of the command that ends the run.
    """
    own = price_of(own_machine())
    if own is None:
        return None
    bill, total = Bill(own), 0.0
    for stage in wanted_stages(tables.config):
        machines = {facts["node"]: facts.get("machine") for facts in tables.task_facts(stage.name) if "node" in facts}
        workers = [price_of(machine) for machine in machines.values()]
        if None in workers:
            return None
        total += bill.charge(seconds.get(stage.name, 0.0), [price for price in workers if price is not None])
    return round(total, 4)
