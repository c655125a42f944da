"""Random folders through `raycluster cluster` and the verbs that follow it.

The outcome is the right partition or one sentence, and nothing else is touched.

    python -m benchmarks fuzz --minutes 10

The tables are outcomes by kind and defects. A defect is an unexpected error, a sentence of several lines, a wrong partition, rows
that are neither in the result nor named, a changed file outside the run folder, or a run that does not end.
"""

import contextlib
import hashlib
import io
import json
import os
import random
import re
import signal
import tempfile
import time
import urllib.parse
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.tables import Rows, Tables
from benchmarks.systems._fuzz_folders import Folder, make
from benchmarks.systems._fuzz_verbs import VERBS
from raycluster.command_line import run
from raycluster.commands import load
from raycluster.config.load import load_config
from raycluster.executors.progress import Silence
from raycluster.pipeline.run import LOCAL, in_memory, run_stages

MOST_SECONDS = 300
"""Seconds after which a run counts as one that does not end; a folder takes a tenth of one, on a busy machine ten."""


@dataclass
class Args(Options):
    """How long, and from which seed on; a defect names its seed, and `--seed N --cases 1` makes it again."""

    minutes: float = 10.0
    seed: int = 0
    cases: int | None = None


@dataclass
class Outcome:
    """How one run ended."""

    code: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """The last line on stderr, without paths and numbers, so that kinds can be counted."""
        line = self.err.rstrip().splitlines()[-1] if self.err.strip() else ""
        return re.sub(r"\d+", "N", re.sub(r"(file://)?/\S+", "PATH", line))[:90]


class _Stuck(BaseException):
    """A run that does not end."""


def digest(path: Path, but: Path) -> str:
    """Return a digest of everything below a folder but one: names, kinds, contents, links."""
    seen = hashlib.sha256()
    for folder, folders, files in os.walk(path):
        if Path(folder) == but:
            folders.clear()
            continue
        for name in sorted([*folders, *files]):
            one = Path(folder) / name
            if one != but:
                seen.update(str(one.relative_to(path)).encode(errors="surrogateescape"))
                seen.update(os.readlink(one).encode() if one.is_symlink() else b"")
                seen.update(one.read_bytes() if one.is_file() and not one.is_symlink() else b"")
        folders.sort()
    return seen.hexdigest()


def spelled(folder: Path, draw: random.Random) -> list[str]:
    """Return one of the ways in which a folder is named on a command line."""
    files = sorted(str(file) for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
    plain = [name for name in files if not set("[*?") & set(name)]
    link = folder.parent / "link"
    if not link.is_symlink():
        link.symlink_to(folder.name)
    ways = [
        [str(folder)],
        [f"{folder}/"],
        [f"{folder.parent}/./x/../{folder.name}"],
        [f"file://{urllib.parse.quote(str(folder))}"],
        [str(link)],
        [f"{folder}/*.parquet"],
        plain or [str(folder)],
    ]
    return draw.choice([*[ways[0]] * 6, *ways])


def output_of(base: Path, draw: random.Random) -> Path:
    """Return where the run goes: beside the input, inside it, inside it by a link, or to a folder that is not ours."""
    kind = draw.choice(("beside",) * 12 + ("inside", "by a link", "foreign"))
    if kind == "inside":
        return base / "input" / "run"
    if kind == "by a link":
        (base / "way").symlink_to("input")
        return base / "way" / "run"
    if kind == "foreign":
        (base / "run").mkdir()
        (base / "run" / "clusters.parquet").write_bytes(b"mine")
    return base / "run"


def ended(words: list[str], verb: str = "cluster") -> Outcome:
    """Run a command in this process."""
    out, err = io.StringIO(), io.StringIO()

    def stuck(*_: Any) -> None:
        raise _Stuck

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    before = signal.signal(signal.SIGALRM, stuck)
    signal.alarm(MOST_SECONDS)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            run(load(verb), words, f"raycluster {verb}")
    except SystemExit as end:
        return Outcome(int(end.code or 0), out.getvalue(), err.getvalue())
    except _Stuck:
        return Outcome(-1, out.getvalue(), f"{err.getvalue()}\nit does not end")
    finally:
        signal.alarm(0)
        for number, handler in {**handlers, signal.SIGALRM: before}.items():
            signal.signal(number, handler)


def defect_of(folder: Folder, output: Path, outcome: Outcome, inputs: list[str]) -> str | None:
    """Return what is wrong with an outcome; none where it is right."""
    if (defect := _no_sentence(outcome)) is not None or outcome.code:
        return defect
    return _wrong_labels(folder, output, inputs)


def _no_sentence(outcome: Outcome) -> str | None:
    """Return what is wrong with how a command ended, whatever it did; none where it is right."""
    if outcome.code == -1:
        return "it does not end"
    errors = [line for line in outcome.err.splitlines() if line.startswith("error: ")]
    if outcome.code and (len(errors) != 1 or "unexpected" in errors[0] or not outcome.err.rstrip().endswith(errors[0])):
        return f"no single sentence: {outcome.err.strip()[-300:]}"
    return "a traceback" if not outcome.code and "Traceback" in outcome.err else None


def followed(base: Path, run_folder: Path, folder: Folder, draw: random.Random) -> tuple[str, str | None]:
    """Run a verb on a finished run; returns how it ended, and its defect."""
    ends: list[Outcome] = []

    def call(verb: str, words: list[str]) -> Outcome:
        folder.notes.append(f"{verb} {' '.join(words)}")
        ends.append(ended(words, verb))
        return ends[-1]

    verb = draw.choice(VERBS)
    before = digest(run_folder, run_folder / "review")
    _, defect = verb(base, run_folder, folder, draw, call)
    defect = _no_sentence(ends[-1]) or defect
    if digest(run_folder, run_folder / "review") != before:
        defect = defect or "the run changed"
    return f"{verb.__name__}: {ends[-1].sentence or 'right'}", defect


def _wrong_labels(folder: Folder, output: Path, inputs: list[str]) -> str | None:
    """Return what is wrong with the labels of a run that ended well."""
    manifest = json.loads((output / "MANIFEST.json").read_text())
    parts = [pq.read_table(output / part["path"], columns=["id", "cluster_id"]) for part in manifest["labels"]]
    table = pa.concat_tables(parts)
    rows = {key: identity for rows in folder.rows.values() for key, identity in rows.items()}
    is_all = len(inputs) == 1 and "*" not in inputs[0] and not Path(inputs[0]).is_file()
    if folder.is_numbered:
        found = Counter(Counter(table["cluster_id"].to_pylist()).values())
        if is_all and table.num_rows >= len(rows) and found != Counter(Counter(rows.values()).values()):
            return f"sizes {dict(found)} of numbered rows"
        return None if table.num_rows <= len(rows) + 1 else "more rows than there are"
    labels = dict(zip(table["id"].to_pylist(), table["cluster_id"].to_pylist(), strict=True))
    dropped = output / "dropped.parquet"
    lost = set(pq.read_table(dropped)["id"].to_pylist()) if dropped.exists() else set()
    left_out = json.dumps(json.loads((output / "plan.json").read_text())["input"]["left_out"])
    for name, own in folder.rows.items():
        missing = [key for key in own if key not in labels and key not in lost]
        if missing and is_all and json.dumps(name)[1:-1] not in left_out:
            return f"{len(missing)} rows of {name} are missing without a word"
    present = {key: rows[key] for key in labels if key in rows}
    pairs = {(labels[key], identity) for key, identity in present.items()}
    if not len(pairs) == len({label for label, _ in pairs}) == len({identity for _, identity in pairs}):
        return f"a wrong partition of {len(present)} rows"
    return None


def one_case(seed: int) -> tuple[str, str | None]:
    """Return how one random folder ended, and its defect."""
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="raycluster-fuzz-") as name:
        base = Path(name).resolve()
        (base / "x").mkdir()
        folder = make(base / "input", draw)
        inputs, output = spelled(base / "input", draw), output_of(base, draw)
        real = output.resolve()
        is_foreign = real.exists()
        before = digest(base, real) if not is_foreign else digest(base, base / "nothing")
        words = [*inputs, "-o", str(output), "--recipe", "cosine", "--limit", "0.9", "--executor", "local"]
        outcome = ended(words)
        after = digest(base, real) if not is_foreign else digest(base, base / "nothing")
        defect = defect_of(folder, real, outcome, inputs)
        if before != after:
            defect = defect or "files outside the run folder changed"
        kind = "right partition" if outcome.code == 0 else outcome.sentence
        if outcome.code == 0 and defect is None and not real.is_relative_to(base / "input"):
            kind, defect = followed(base, real, folder, draw)
        if defect:
            defect = f"{defect} ({'; '.join([*folder.notes, ' '.join(words)])})"
        return kind, defect


def cases(args: Args) -> Iterator[int]:
    """Yield seeds until the time is over."""
    end, seed = time.monotonic() + 60 * args.minutes, args.seed
    while time.monotonic() < end and (args.cases is None or seed < args.seed + args.cases):
        yield seed
        seed += 1


def tables(args: Args) -> Tables:
    """Yield outcomes by kind, and defects."""
    with tempfile.TemporaryDirectory() as empty:  # imports what a run imports, before any alarm
        run_stages(in_memory(np.eye(3, dtype=np.float32), load_config("cosine", {}, "fuzz"), 1), LOCAL, Silence())
        ended([empty, "-o", f"{empty}/run"])
    kinds: Counter[str] = Counter()
    defects: Rows = []
    for seed in cases(args):
        kind, defect = one_case(seed)
        kinds[kind] += 1
        if defect:
            defects.append({"seed": seed, "defect": defect})
    yield "outcomes", [{"cases": sum(kinds.values()), "kinds": len(kinds), "defects": len(defects)}]
    yield "kinds", [{"outcome": kind, "cases": count} for kind, count in kinds.most_common()]
    yield "defects", defects


BENCHMARK = Benchmark(Args, tables, quick=lambda folder: Args(minutes=1.0, cases=12))
