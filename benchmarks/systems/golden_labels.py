"""Today's labels, pinned: a digest per set, recipe, shards and executor.

    python -m benchmarks golden_labels --scale full --output benchmarks/results/golden_labels.json     # make the baseline
    python -m benchmarks golden_labels --scale quick --check benchmarks/results/golden_labels.json     # compare with it

`--check` prints every case that differs and exits with 1 if any does. Only the command lines and the labels of a run folder
are used, so the script outlives any change inside the package; `--root` names another checkout whose jobs are run.

Small models are trained once and generated sets are made once, in folders that are kept: a check must use those of the
baseline, whose digests it compares first. `--anew` also makes the sets and trains the models again, in other folders, and
compares them with the baseline's. The labels of recipes with a model depend on whether the processor multiplies bfloat16,
and trained weights on the number of cores, too: compare on a machine like the baseline's. Digests and counts are stored,
nothing else. `--here` runs local cases in this process, which saves the start of one per case.
"""

import contextlib
import hashlib
import io
import json
import os
import resource
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import tyro

Record = dict[str, Any]
Executor = Literal["local", "ray"]

CALM = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Threads that wait sleep: no label changes, and beside other work a training is up to ten times faster."""
WIDTH = 128
"""Of all generated sets: models that read vectors fit one width."""
GENERATED: dict[str, tuple[str, ...]] = {
    "demo": ("--preset", "demo", "--rows", "20000", "--width", str(WIDTH), "--seed", "0"),
    "dense": ("--preset", "dense", "--rows", "20000", "--width", str(WIDTH), "--seed", "0"),
    "singletons": ("--preset", "singletons", "--rows", "5000", "--width", str(WIDTH), "--seed", "0"),
}
"""Generated sets as arguments of raycluster.synthetic."""
TO_TRAIN_ON = ("--preset", "demo", "--rows", "4000", "--width", str(WIDTH), "--seed", "7")
REAL = ("lfw_test", "celeba_mid_train", "pricerunner_minilm_test")
"""Files NAME.parquet of the data folder."""


def _fit(network: str, steps: int, rate: float) -> tuple[str, ...]:
    """A tiny encoder and a short training of one network."""
    encoder, fit = f"--training.{network}.encoder", f"--training.{network}.fit"
    sizes = {f"{encoder}.layers": 1, f"{encoder}.heads": 2, f"{encoder}.width": 32, f"{encoder}.hidden": 64}
    course = {
        f"{fit}.optimizer": "adamw", f"{fit}.learning-rate": rate, f"{fit}.warmup-steps": 20, f"{fit}.steps": steps,
        f"{fit}.batch": 64, f"{fit}.evaluate-every": steps // 2,
    }  # fmt: skip
    return tuple(str(word) for pair in (sizes | course).items() for word in pair)


_FILTER, _PREDICTOR = _fit("filter", 500, 0.005), _fit("predictor", 200, 0.002)
MODELS: dict[str, tuple[str, ...]] = {
    "sdt-row": ("--recipe", "sdt-row", "--training.generated", "0", "--knn.k", "40", *_FILTER, *_PREDICTOR),
    "diff-cluster": ("--recipe", "diff-cluster", "--knn.k", "24", *_FILTER, *_PREDICTOR),
    "diff-cluster-gram": (
        "--recipe", "diff-cluster-gram", "--training.generated", "0", "--knn.k", "24", *_FILTER, *_PREDICTOR,
    ),
    "hard-clusters": ("--recipe", "hard-clusters", "--knn.k", "40", "--training.predictor.head", "32", *_PREDICTOR),
    "face-transformer": ("--recipe", "face-transformer", "--knn.k", "31", *_fit("predictor", 100, 0.002)),
}  # fmt: skip
"""Models that the script trains, as arguments of jobs/train.py."""
OF_ONE_WIDTH = ("diff-cluster", "hard-clusters", "face-transformer")
"""Models that read vectors, so they fit only the generated sets."""

RECIPES: dict[str, tuple[str, ...]] = {
    "auto": ("--recipe", "auto"),
    "cosine": ("--recipe", "cosine"),
    "cosine-ivf": ("--recipe", "cosine", "--knn.index", "ivf"),
    "cosine-native": ("--recipe", "cosine", "--communities.engine", "native"),
    "cosine++": ("--recipe", "cosine", "--edges.rule", "density-peaks", "--communities.engine", "components"),
    "components": ("--recipe", "components"),
    "fc-es": ("--recipe", "fc-es"),
    "fc-es-sigmoid": ("--recipe", "fc-es-sigmoid"),
    "facemap": ("--recipe", "facemap"),
}
"""Recipes without a model of this script, as arguments of jobs/cluster.py; the models stand for their own recipes."""
ALL = (*RECIPES, *MODELS)


@dataclass(frozen=True)
class Case:
    """One run of jobs/cluster.py."""

    data: str
    recipe: str
    shards: int
    executor: Executor = "local"

    @property
    def key(self) -> str:
        """Its name in the file."""
        return f"{self.data}/{self.recipe}/{self.shards}/{self.executor}"


def _cases(sets: tuple[str, ...], recipes: tuple[str, ...], shards: int, executor: Executor = "local") -> list[Case]:
    """All recipes on all sets that their models fit."""
    pairs = [(data, recipe) for data in sets for recipe in recipes]
    return [Case(*pair, shards, executor) for pair in pairs if pair[0] in GENERATED or pair[1] not in OF_ONE_WIDTH]


QUICK = (
    *_cases(("demo",), tuple(recipe for recipe in ALL if recipe != "diff-cluster-gram"), 1),
    *_cases(("singletons",), ("auto", "cosine", "components", "sdt-row", "hard-clusters"), 1),
    *_cases(("lfw_test",), tuple(recipe for recipe in ALL if recipe not in ("cosine-ivf", "cosine-native")), 1),
    *_cases(("demo",), ("cosine-ivf", "cosine++", "fc-es", "sdt-row", "hard-clusters", "face-transformer"), 3),
    *_cases(("singletons",), ("diff-cluster",), 3),
    *_cases(("lfw_test",), ("auto", "cosine", "components", "fc-es-sigmoid", "facemap", "diff-cluster-gram"), 3),
)
"""Every recipe at one shard and at three, each where it takes seconds."""
_MORE = (
    *_cases((*GENERATED, *REAL), ALL, 1),
    *_cases(("demo", "lfw_test"), ALL, 3),
    *_cases(("demo",), ("auto", "cosine-ivf", "cosine++", "fc-es", "sdt-row", "face-transformer"), 16),
    *_cases(("dense",), ("auto", "components", "facemap", "hard-clusters"), 16),
    *_cases(("singletons", "lfw_test"), ALL, 16),
    *_cases(("demo",), ("auto", "cosine-ivf", "hard-clusters"), 3, "ray"),
    *_cases(("singletons",), ("fc-es", "diff-cluster", "face-transformer"), 3, "ray"),
    *_cases((*GENERATED, *REAL), ("auto",), 3),
    *_cases((*GENERATED, *REAL), ("auto",), 16),
    *_cases((*GENERATED, *REAL), ("auto",), 3, "ray"),
    *_cases(REAL[1:], ("cosine", "cosine-ivf", "fc-es"), 3),
    *_cases(REAL[1:], ("cosine", "cosine-ivf", "fc-es"), 16),
)
FULL = tuple(dict.fromkeys((*QUICK, *_MORE)))
SCALES = {"quick": QUICK, "full": FULL}


@dataclass
class Args:
    """What to run, and what to do with the digests: write them, or compare them."""

    scale: Literal["quick", "full"] = "quick"
    """`quick` is some of the cases of `full`, so a baseline of `full` serves both."""
    check: Path | None = None
    """Baseline to compare with; none makes a new one."""
    output: Path = Path("runs/golden/golden_labels.json")
    """File of the new baseline."""
    root: Path = field(default_factory=lambda: Path(__file__).resolve().parents[2])
    """Checkout whose jobs are run."""
    models: Path = Path("runs/golden/models")
    """Folder of the trained models. Those that are there are used."""
    inputs: Path = Path("runs/golden/inputs")
    """Folder of the generated sets. Those that are there are used."""
    work: Path = Path("runs/golden/work")
    """Folder for runs, each deleted when its digest is taken, and for what is made anew."""
    data: Path = Path("../shared/data")
    """Folder of the real sets; those that are not there are skipped."""
    only: tuple[str, ...] = ()
    """Parts of names of cases; others are left out. All, if none are given."""
    anew: bool = False
    """With `--check`, also make the sets and train the models again."""
    keep: bool = False
    """Keep the run folders."""
    here: bool = False
    """Run local cases in this process, with the package of this checkout: five to ten times as fast."""


class Failed(Exception):
    """A command that ended with an error; the message is its last line."""


class Clock:
    """Wall time and processor time of the commands since it was made. Workers of Ray are not among them."""

    def __init__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), self._cpu()

    def __str__(self) -> str:
        taken = self.read()
        return f"{taken['seconds']} s, {taken['cpu_seconds']} of the processor"

    def read(self) -> dict[str, float]:
        """Seconds so far."""
        wall, cpu = time.perf_counter() - self.wall, self._cpu() - self.cpu
        return {"seconds": round(wall, 1), "cpu_seconds": round(cpu, 1)}

    @staticmethod
    def _cpu() -> float:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF)]
        return sum(one.ru_utime + one.ru_stime for one in used)


@dataclass
class Checkout:
    """The commands of a checkout, run in processes of their own with its package."""

    root: Path

    def __post_init__(self) -> None:
        """Make sure that it is this checkout's package that is imported."""
        found = Path(self.run("-c", "import raycluster; print(raycluster.__file__)").strip())
        if not found.is_relative_to(self.root):
            raise SystemExit(f"The commands would import {found}, which is not of {self.root}.")

    def run(self, *arguments: str) -> str:
        """Run Python with some arguments in the checkout; what it printed."""
        path = [str(self.root), str(self.root / "src"), os.environ.get("PYTHONPATH", "")]
        environment = os.environ | CALM | {"PYTHONPATH": os.pathsep.join(part for part in path if part)}
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failed((done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1])
        return done.stdout

    def generate(self, arguments: tuple[str, ...], folder: Path) -> None:
        """Make a set, unless it is there."""
        if not any(folder.glob("*.parquet")):
            partial = folder.with_name(f"{folder.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            self.run("-m", "raycluster.synthetic", *arguments, "--output", str(partial))
            partial.rename(folder)

    def train(self, name: str, source: Path, folder: Path) -> None:
        """Train a model, unless it is there."""
        if not (folder / "card.json").exists():
            words = ("--input", str(source), *MODELS[name], "--output", str(folder), "--executor", "local")
            self.run("jobs/train.py", *words)

    def commit(self) -> str:
        """The commit, with a plus if files differ from it."""

        def git(*words: str) -> str:
            command = ["git", "-C", str(self.root), *words]
            return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")


def run_here(*words: str) -> None:
    """Run the job in this process."""
    from raycluster.command_line import run
    from raycluster.commands import load

    printed, code = io.StringIO(), None
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            run(load("cluster"), words, "jobs/cluster.py")
        except SystemExit as end:
            code = end.code
    if code:
        raise Failed((printed.getvalue().strip().splitlines() or [f"exit code {code}"])[-1])


def say(*words: str) -> None:
    """A line, as soon as it is known."""
    print(*(word for word in words if word), flush=True)


def sha256(*parts: bytes | npt.NDArray[Any]) -> str:
    """Of some bytes and arrays in turn."""
    total = hashlib.sha256()
    for part in parts:
        total.update(part if isinstance(part, bytes) else np.ascontiguousarray(part).tobytes())
    return total.hexdigest()


def _read(files: list[Path], columns: list[str]) -> pa.Table:
    if not files:
        raise Failed("it left no Parquet files")
    return pa.concat_tables([pq.read_table(file, columns=columns) for file in sorted(files)])


def of_labels(folder: Path) -> Record:
    """Digest of the labels of a run folder: ids in order, partition in canonical form, strengths.

    In canonical form clusters are numbered by their first row in the order of ids.
    """
    table = _read(list((folder / "labels").glob("*.parquet")), ["id", "cluster_id", "strength"]).sort_by("id")
    ids = [str(name).encode() for name in table["id"].to_pylist()]
    _, first, cluster = np.unique(table["cluster_id"].to_numpy(), return_index=True, return_inverse=True)
    number = np.empty(len(first), np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    partition, strength = number[cluster], table["strength"].fill_null(1.0).to_numpy().astype("<f4")
    named = b"\0".join(ids)
    return {
        "digest": sha256(named, partition, strength),
        "partition": sha256(named, partition),
        "rows": len(table),
        "clusters": len(first),
        "singletons": int((np.bincount(cluster) == 1).sum()),
    }


def of_set(source: Path) -> str:
    """Digest of a set's ids and embeddings."""
    table = _read([source] if source.is_file() else list(source.glob("*.parquet")), ["id", "embedding"])
    vectors = table["embedding"].combine_chunks().flatten().to_numpy(zero_copy_only=False).astype("<f4")
    return sha256(table["id"].to_numpy().astype("<i8"), vectors)


def of_weights(folder: Path) -> str:
    """Digest of a model's weights: the files with their names."""
    files = sorted(folder.glob("*.safetensors"))
    return sha256(*(part for file in files for part in (file.name.encode(), file.read_bytes())))


def of_model(folder: Path) -> Record:
    """Digests of a model's weights and of its card, which holds the limits."""
    return {"weights": of_weights(folder), "card": sha256((folder / "card.json").read_bytes())}


def machine() -> Record:
    """Processor, what it multiplies in hardware, and the versions of what computes labels."""
    described = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    told = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in described.splitlines())}
    flags = set(told.get("flags", "").split())
    versions = {}
    for name in ("numpy", "scipy", "numba", "torch", "infomap", "pyarrow", "ray"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "missing"
    return {
        "processor": f"{told.get('model name')}, family {told.get('cpu family')}, model {told.get('model')}",
        "cores": len(os.sched_getaffinity(0)),
        "avx512": "avx512f" in flags,
        "bfloat16": bool(flags & {"avx512_bf16", "amx_bf16"}),
        "python": sys.version.split()[0],
        "versions": versions,
    }


@dataclass
class Job:
    """One call of the script: the checkout, the sets and models that are there, and the baseline, if any."""

    args: Args
    baseline: Record | None
    differ: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        args = self.args
        for name in ("root", "models", "inputs", "work", "data"):
            setattr(args, name, getattr(args, name).resolve())
        self.checkout = Checkout(args.root)
        for folder in (args.models, args.inputs, args.work):
            folder.mkdir(parents=True, exist_ok=True)
        self.found: Record = {
            "date": date.today().isoformat(),
            "machine": machine(),
            "commit": self.checkout.commit(),
            "command": shlex.join(["python", "-m", "benchmarks", "golden_labels", *sys.argv[1:]]),
            "scale": args.scale,
            "sets": {},
            "models": {},
            "cases": {},
        }

    def compare(self, part: str, key: str, entry: Any) -> str:
        """Keep an entry of the file; a word on how it stands to the baseline, and note if it differs."""
        self.found[part][key] = entry
        if self.baseline is None:
            return ""
        expected = self.baseline[part].get(key)
        if expected is None:
            return "not in the baseline"
        return "same" if _same(entry, expected) else self.differs(key, _how(entry, expected))

    def differs(self, key: str, how: str) -> str:
        """Note a difference."""
        self.differ.append(f"{key}: {how}")
        return f"DIFFERS: {how}"

    def source(self, data: str) -> Path:
        """Where a set lies."""
        return self.args.data / f"{data}.parquet" if data in REAL else self.args.inputs / data

    def prepare(self, cases: list[Case]) -> None:
        """Make the sets and train the models that the cases want and that are not there."""
        self.warn()
        sets = dict.fromkeys(case.data for case in cases)
        wanted = [name for name in MODELS if any(case.recipe == name for case in cases)]
        for data in ([*sets, "train"]) if wanted else sets:
            if data not in REAL:
                self.checkout.generate(GENERATED.get(data, TO_TRAIN_ON), self.source(data))
            if self.source(data).exists():
                say(f"set {data}:", self.compare("sets", data, of_set(self.source(data))))
            else:
                say(f"set {data}: skipped, there is no {self.source(data)}")
        for name in wanted:
            clock = Clock()
            folder = self.args.models / name
            if self.baseline is not None and not (folder / "card.json").exists():
                say(f"model {name}: not in {self.args.models}, so it is trained by this checkout")
            self.checkout.train(name, self.source("train"), folder)
            told = self.compare("models", name, of_model(folder))
            say(f"model {name}: {clock}", told)

    def warn(self) -> None:
        """Say in what the machine is not the baseline's."""
        if self.baseline is not None:
            ours, theirs = self.found["machine"], self.baseline["machine"]
            for name in ours:
                if ours[name] != theirs.get(name):
                    say(f"the baseline's {name}: {theirs.get(name)}, here: {ours[name]}")

    def run(self, cases: list[Case]) -> Iterator[tuple[Case, Record | Failed]]:
        """Run the cases one after the other; digests."""
        for case in cases:
            if not self.source(case.data).exists():
                continue
            try:
                yield case, self.cluster(case, self.source(case.data), self.args.models)
            except Failed as failure:
                yield case, failure

    def cluster(self, case: Case, source: Path, models: Path) -> Record:
        """Run a case; the digest of its labels, with the seconds it took."""
        folder = self.args.work / case.key.replace("/", "-")
        shutil.rmtree(folder, ignore_errors=True)
        words = RECIPES.get(case.recipe) or ("--model", str(models / case.recipe))
        where = ("--input", str(source), "--output", str(folder))
        how = ("--shards", str(case.shards), "--executor", case.executor)
        clock = Clock()
        if self.args.here and case.executor == "local":
            run_here(*where, *words, *how, "--no-report")
        else:
            self.checkout.run("jobs/cluster.py", *where, *words, *how)
        entry = {**of_labels(folder), **clock.read()}
        if not self.args.keep:
            shutil.rmtree(folder)
        return entry

    def all(self, cases: list[Case]) -> None:
        """Run the cases, print a line for each, and keep the file up to date."""
        for case, result in self.run(cases):
            if isinstance(result, Failed):
                say(f"{case.key}:", self.differs(case.key, f"failed: {result}"))
                continue
            told = self.compare("cases", case.key, result)
            counts = f"{result['clusters']} clusters of {result['rows']} rows"
            say(f"{case.key}: {result['digest'][:12]}, {counts}, {result['seconds']} s", told)
            self.write()

    def write(self) -> None:
        """Write the new baseline, if one is made."""
        if self.baseline is None:
            self.args.output.parent.mkdir(parents=True, exist_ok=True)
            self.args.output.write_text(json.dumps(self.found, indent=1) + "\n")

    def again(self, cases: list[Case]) -> None:
        """Make sets and train models in new folders, and compare them, and labels by these models, with the baseline."""
        folder = self.args.work / "anew"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        assert self.baseline is not None, "--anew comes with --check"
        for data in [data for data in self.found["sets"] if data not in REAL]:
            self.checkout.generate(GENERATED.get(data, TO_TRAIN_ON), folder / data)
            same = of_set(folder / data) == self.baseline["sets"].get(data)
            say(f"set {data}, made anew:", "same" if same else self.differs(f"set {data}", "made anew"))
        for name in self.found["models"]:
            key = f"model {name}"
            self.checkout.train(name, folder / "train", folder / name)
            same = of_weights(folder / name) == self.baseline["models"][name]["weights"]
            say(f"{key}, trained anew:", "same" if same else self.differs(key, "other weights"))
            case = next(case for case in cases if case.recipe == name and case.data in GENERATED)
            entry, expected = self.cluster(case, self.source(case.data), folder), self.baseline["cases"][case.key]
            same = _same(entry, expected)
            told = "same" if same else self.differs(f"{case.key} by a model trained anew", _how(entry, expected))
            say(f"{case.key}, by that model:", told)
        shutil.rmtree(folder)

    def unequal_shards(self) -> list[str]:
        """Sets and recipes whose labels depend on the shards or the executor, which they should not."""
        digests: dict[str, set[str]] = {}
        for key, entry in self.found["cases"].items():
            digests.setdefault("/".join(key.split("/")[:2]), set()).add(entry["digest"])
        return [name for name, found in digests.items() if len(found) > 1]


def _same(entry: Any, expected: Any) -> bool:
    """Whether two entries are alike but for the seconds they took."""
    if isinstance(entry, dict) and isinstance(expected, dict):
        timeless = dict.fromkeys(("seconds", "cpu_seconds"))
        return {**entry, **timeless} == {**expected, **timeless}
    return bool(entry == expected)


def _how(entry: Any, expected: Any) -> str:
    """In what an entry is not the baseline's."""
    if not isinstance(entry, dict):
        return "other ids or embeddings"
    if "weights" in entry:
        return ", ".join(f"other {name}" for name in entry if entry[name] != expected[name])
    if entry["partition"] == expected["partition"]:
        return "other strengths, same partition"
    names = ("rows", "clusters", "singletons")
    return "other partition: " + ", ".join(f"{name} {expected[name]} -> {entry[name]}" for name in names)


def main(args: Args) -> int:
    """Make a baseline or compare with one; the exit code."""
    if args.here and args.root.resolve() != Args().root:
        raise SystemExit("--here runs this checkout: leave --root out.")
    if args.anew and args.check is None:
        raise SystemExit("--anew compares with a baseline: give --check.")
    clock = Clock()
    job = Job(args, json.loads(args.check.read_text()) if args.check else None)
    cases = [case for case in SCALES[args.scale] if not args.only or any(part in case.key for part in args.only)]
    job.prepare(cases)
    job.all(cases)
    if args.anew:
        job.again(cases)
    for name in job.unequal_shards():
        print(f"{name}: the labels depend on the shards or the executor")
    for line in job.differ:
        print(f"DIFFERS {line}")
    told = f"{len(job.found['cases'])} of {len(cases)} cases, {clock}"
    print(f"{told}; {len(job.differ)} {'differences' if args.check else 'failures'}")
    return 1 if job.differ else 0


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Args, description=__doc__)))
