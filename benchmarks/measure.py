"""What benchmarks share: interleaved timing, peak memory and the machine, printed as JSON; tables, printed as Markdown."""

import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_info

Rows = list[dict[str, Any]]


def seconds(work: Callable[[], Any]) -> float:
    """Wall time of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """What one call gives, its wall time, and the CPU seconds of all its threads, which a busy machine stretches less."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def interleaved(works: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each work in turn, A B A B ..., so that a machine that drifts drifts for all; one warm-up each."""
    for work in works.values():
        work()
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            found[name].append(round(seconds(work), 4))
    return found


def peak_bytes() -> int:
    """Largest resident memory of this process so far."""
    with open("/proc/self/status") as status:  # ru_maxrss would count the process that started this one
        return 1024 * next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


def peak_gib() -> float:
    """The same in GiB."""
    return round(peak_bytes() / 2**30, 3)


def machine() -> dict[str, Any]:
    """Processor, cores in use, and the kernels the BLAS libraries have chosen."""
    blas = [f"{info['internal_api']} {info['version']} {info.get('architecture')}" for info in threadpool_info()]
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "blas": blas,
    }


def unit_rows(rows: int, width: int, seed: int = 0) -> npt.NDArray[np.float32]:
    """Random unit vectors."""
    vectors = np.random.default_rng(seed).standard_normal((rows, width), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def report(result: dict[str, Any]) -> None:
    """Print a benchmark's result."""
    print(json.dumps({**result, "peak_gib": peak_gib(), "machine": machine()}, indent=2))


def markdown(rows: Rows) -> str:
    """A Markdown table; rows may lack columns, and numbers have four digits."""
    names = list(dict.fromkeys(name for row in sorted(rows, key=len, reverse=True) for name in row))
    cells = [[f"{at:.4g}" if isinstance(at := row.get(name, ""), float) else str(at) for name in names] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in [names, ["---"] * len(names), *cells])


def print_tables(benchmark: str, args: Any, tables: Iterator[tuple[str, Rows]], path: str | None) -> None:
    """Print every table as soon as it is there, and write what there is so far as JSON to `path` if given."""
    found: dict[str, Rows] = {}
    for title, rows in tables:
        found[title] = rows
        print(f"\n### {title}\n\n{markdown(rows)}", flush=True)
        if path:
            result = {"benchmark": benchmark, "args": asdict(args), "found": found, "machine": machine()}
            Path(path).write_text(json.dumps(result, indent=2) + "\n", "utf-8")
