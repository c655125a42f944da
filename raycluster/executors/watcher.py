"""The watcher of a stage on Ray: what is pending, and when waiting has no end.

It runs in the driver's own loop. Every half minute it prints what a stage waits for. It ends the stage with a sentence where
no worker starts in time, and where the head of the cluster is gone.
"""

import time
from collections.abc import Callable
from typing import Any

from raycluster.config.execution import Execution
from raycluster.errors import RayclusterError
from raycluster.executors import reach
from raycluster.executors.head import AGAIN, HEAD_CHECK_SECONDS, HEAD_SECONDS, answers, gone
from raycluster.executors.sizing import Pool

# isort: split
import ray

GIB = 2.0**30
"""Bytes of a GiB."""
LINE_SECONDS = 30.0
"""Seconds between two lines about what is pending."""
WISH_SECONDS = 5.0
"""Seconds between two wishes to an autoscaler, which reads them as often. Ray Data replaces a wish within 20 s."""
ANSWER_SECONDS = 20.0
"""Longest wait for the board, on a busy head."""


class Watcher:
    """Watches one stage while the driver waits for results.

    Parameters
    ----------
    stage, pool
        What is to run, and with how many workers.
    board
        The stage's board.
    execution
        How long to wait for a first worker.
    show
        Prints a line.
    wish
        Requests machines for a pool from an autoscaler, or releases them; none where nothing is requested.
    clock
        Seconds that only grow.
    """

    def __init__(
        self,
        stage: str,
        pool: Pool,
        board: Any,
        execution: Execution,
        show: Callable[[str], None],
        wish: Callable[[Pool | None], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stage, self.pool, self.board, self.execution = stage, pool, board, execution
        self._show, self._wish, self._clock = show, wish, clock
        self._head = ray.get_runtime_context().gcs_address if ray.is_initialized() else ""
        self.is_head_gone = False
        self._rows, now = 0.0, clock()
        self._worked = self._line = self._wished = self._head_checked = self._head_answered = now

    def begin(self) -> None:
        """Request machines for the whole pool."""
        if self._wish is not None:
            self._wish(self.pool)

    def end(self) -> None:
        """Release what was requested."""
        if self._wish is not None and self._head_answered >= self._head_checked:
            self._wish(None)

    def progressed(self) -> None:
        """A task is done, so somebody works."""
        self._worked = self._clock()

    def check(self) -> float:
        """Return the rows that workers have reported since the last check.

        Prints what is pending, and raises where waiting has no end.
        """
        now = self._clock()
        if not self._head_answers(now):
            return 0.0
        at_work = self._answer(self.board.in_flight)
        if at_work:
            self._worked = now
        if self._wish is not None and now - self._wished >= WISH_SECONDS:
            self._wished = now
            self._wish(self.pool)
        if now - self._line >= LINE_SECONDS:
            self._line = now
            self._report(len(at_work or ()), now)
        if now - self._worked >= 60.0 * self.execution.wait:
            raise RayclusterError(
                f"No worker of stage {self.stage} was there for {self.execution.wait:g} minutes (--wait). {self._why()} "
                f"{AGAIN}"
            )
        before, self._rows = self._rows, float(self._answer(self.board.reported_rows) or self._rows)
        return self._rows - before

    def sentence(self, error: Exception) -> RayclusterError:
        """Return what Ray raised as one sentence."""
        if isinstance(error, RayclusterError):
            return error
        lines = [line for line in str(error).splitlines() if line.strip()]
        return RayclusterError(f"A worker of stage {self.stage} failed: {lines[-1] if lines else type(error).__name__}")

    def _report(self, at_work: int, now: float) -> None:
        """Print what is pending, if anything that was wanted is."""
        wanted = self.pool.most if self.execution.workers is not None else 1
        left = self._answer(self.board.left)
        if left is not None and at_work < min(wanted, left):
            waited = "" if at_work else f" for {now - self._worked:.0f} s"
            self._show(f"{self.stage}: {at_work} of {min(wanted, left)} workers at work{waited}. {self._why()}")

    def _why(self) -> str:
        """Return what a worker needs, and what of it the cluster has free."""
        there, free = ray.cluster_resources(), ray.available_resources()
        parts = []
        for name, amount in self.pool.bundle.items():
            unit = GIB if name == "memory" else 1.0
            what = "GiB of memory" if name == "memory" else f"{name}s"
            parts.append(
                f"{amount / unit:.3g} {what} ({free.get(name, 0.0) / unit:.3g} of {there.get(name, 0.0) / unit:.3g} free)"
            )
        return f"A worker needs {', '.join(parts)}."

    def _head_answers(self, now: float) -> bool:
        """Whether the head takes connections; raises where it has taken none for long."""
        if not self._head or now - self._head_checked < HEAD_CHECK_SECONDS:
            return self._head_answered >= self._head_checked
        self._head_checked = now
        if not answers(self._head):
            silent = now - self._head_answered
            if silent >= HEAD_SECONDS:
                self.is_head_gone = True
                reach.give_up()
                raise gone(self._head, silent, f"in stage {self.stage}")
            self._show(f"{self.stage}: the head at {self._head} does not answer since {silent:.0f} s")
            return False
        self._head_answered = now
        return True

    def _answer(self, method: Any) -> Any:
        """Return what the board answers; none where it does not."""
        try:
            return ray.get(method.remote(), timeout=ANSWER_SECONDS)
        except ray.exceptions.RayError:
            return None
