"""Where a job stands in words: rows done, rows per second, seconds left."""

import threading
from dataclasses import dataclass, field

PRIOR_SHARE = 0.1
"""Share of a run's forecast that counts as if it had been met, before the stages' own seconds correct it. More correct later.
Without it the first small stages, whose seconds are noise, decide."""
LEAST_SECONDS = 1.0
"""Seconds of a stage before its speed is shown. Fewer show the speed of the first block alone."""


@dataclass
class Position:
    """How far one stage is. Kernels of several threads report to it."""

    name: str
    rows: int
    """Rows of all its tasks."""
    before: int = 0
    """Rows that were done before this process."""
    began: float = 0.0
    place: str = ""
    """Which stage of how many, such as "stage 4 of 7, "; empty outside a run."""
    expected: float | None = None
    """Seconds that its tasks will take, as forecast; none without a forecast."""
    later: float | None = None
    """Seconds that later stages will take, as forecast."""
    _done: float = 0.0
    _within: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def within(self, rows: float) -> None:
        """Count rows of tasks that are under way."""
        with self._lock:
            self._within += rows

    def finish(self, rows: int) -> None:
        """Count a finished task, whose rows replace those that it reported."""
        with self._lock:
            self._done += rows
            self._within = max(0.0, self._within - rows)

    @property
    def done(self) -> float:
        """Rows done by now, those before this process included."""
        return min(float(self.rows), self.before + self._done + self._within)

    def seconds_left(self, now: float) -> float | None:
        """Return the seconds left of the stage, by its own speed or as forecast."""
        elapsed, advanced = now - self.began, self.done - self.before
        if advanced > 0 and elapsed >= LEAST_SECONDS:
            return elapsed * (self.rows - self.done) / advanced
        return None if self.expected is None or elapsed >= self.expected else self.expected - elapsed

    def words(self, now: float) -> str:
        """Return the line of this moment."""
        elapsed, advanced = now - self.began, self.done - self.before
        words = [f"{self.place}{self.name}: {int(self.done):,} of {self.rows:,} rows"]
        if advanced > 0 and elapsed >= LEAST_SECONDS:
            words.append(f"{advanced / elapsed:,.0f} rows/s")
        left = self.seconds_left(now)
        if left is None:
            words.append(f"{elapsed:.0f} s so far")
        else:
            words.append(f"{left:.0f} s left")
            if self.later is not None:
                words.append(f"{left + self.later:.0f} s left of the run")
        return ", ".join(words)

    def summary(self, now: float) -> str:
        """Return the line at the end of the stage."""
        elapsed, rows = now - self.began, self.rows - self.before
        speed = f", {rows / elapsed:,.0f} rows/s" if elapsed >= LEAST_SECONDS else ""
        earlier = f" ({self.before:,} of them before)" if self.before else ""
        return f"{self.place}{self.name}: {self.rows:,} rows{earlier} in {elapsed:.1f} s{speed}"


@dataclass
class Preparation:
    """Work of the driver before a stage's tasks, which counts no rows."""

    name: str
    began: float
    place: str = ""

    def words(self, now: float) -> str:
        """Return the line of this moment."""
        return f"{self.place}{self.name}: preparing, {now - self.began:.0f} s so far"


@dataclass
class Outlook:
    """Which stages a run has, and what they are expected to take.

    Forecasts come from the costs that stages declare. They are scaled by what the stages before took in this process.
    """

    names: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    """By stage; empty before the rows are counted."""
    took: float = 0.0
    """Seconds of the stages that are done."""
    forecast: float = 0.0
    """What the same stages were expected to take."""

    def place(self, name: str) -> str:
        """Return which stage of how many a name is, in words."""
        return f"stage {self.names.index(name) + 1} of {len(self.names)}, " if name in self.names else ""

    def _scale(self) -> float:
        prior = PRIOR_SHARE * sum(self.seconds.values())
        return (self.took + prior) / (self.forecast + prior) if self.forecast + prior > 0 else 1.0

    def of(self, name: str) -> float | None:
        """Return the seconds that a stage will take; none without a forecast."""
        return None if name not in self.seconds else self.seconds[name] * self._scale()

    def after(self, name: str) -> float | None:
        """Return the seconds that all stages after one will take.

        None without a forecast.
        """
        if name not in self.names or not self.seconds:
            return None
        later = self.names[self.names.index(name) + 1 :]
        return sum(self.seconds.get(other, 0.0) for other in later) * self._scale()

    def count(self, name: str, seconds: float) -> None:
        """Count what a stage took."""
        if name in self.seconds:
            self.took += seconds
            self.forecast += self.seconds[name]
