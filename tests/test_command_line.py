"""The frame of every command: sentences for wrong command lines, exit codes, and what goes to which stream."""

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raycluster.command_line import parse
from raycluster.commands import VERBS, load
from raycluster.commands.configuration import configuration
from raycluster.commands.verb import Answer, Verb
from raycluster.config.stages import Config
from raycluster.errors import ConfigError, DamagedError, InputError, StorageError
from support import tiny
from support.command_line import Outcome, call
from support.paths import ROOT

GOOD = ("a", "-o", "b")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", required=True)
    parser.add_argument("--count", type=int, default=1)


def small(run: Any) -> Verb:
    """A verb that does what `run` does."""
    return Verb("small", "Do little.", arguments, run)


def ignore(*_: Any) -> None:
    """A verb that has nothing to say."""


def settings_of(*words: str) -> Config:
    return configuration(*parse(load("cluster"), (*GOOD, *words), "cluster"))


def sentence(*words: str) -> str:
    with pytest.raises(ConfigError) as caught:
        configuration(*parse(load("cluster"), words, "cluster"))
    return str(caught.value)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((*GOOD, "--knn.kk", "3"), "Unrecognized options: --knn.kk; did you mean --knn.k?"),
        ((*GOOD, "--knn.kk=3"), "Unrecognized options: --knn.kk; did you mean --knn.k?"),
        ((*GOOD, "--set", "knn.kk=3"), "Unrecognized options: --knn.kk; did you mean --knn.k?"),
        ((*GOOD, "--set", "knn.k"), "--set takes KEY=VALUE, such as edges.eta=0.6, but got 'knn.k'."),
        ((*GOOD, "--inptu", "a"), "Unrecognized options: --inptu; did you mean --input?"),
        ((*GOOD, "--zzzzzz"), "Unrecognized options: --zzzzzz; --help lists all there are."),
        (("a",), "Missing: --output."),
        ((*GOOD, "--knn.k"), "--knn.k needs a value."),
        ((*GOOD, "--recipe"), "Argument --recipe: expected one argument."),
        ((*GOOD, "--shards", "x"), "Argument --shards: it takes a whole number, not 'x'."),
        ((*GOOD, "--recipe", "cosine", "--effort", "fast"), "--effort and --recipe exclude each other."),
        (
            (*GOOD, "--recipe", "facemap", "--limit", "1"),
            "--limit has no use in the recipe facemap: its rule has no limit.",
        ),
    ],
)
def test_a_wrong_command_line_gets_one_short_sentence(words: tuple[str, ...], expected: str) -> None:
    assert sentence(*words) == expected


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("--knn.k", "abc"), ("knn.k", "'abc'", "whole number")),
        (("--knn.index", "hnsw"), ("knn.index", "'hnsw'", "ivf")),
        (("--recipe", "cosine", "--edges.threshold", "3"), ("edges.threshold", "-1 to 1")),
    ],
)
def test_a_wrong_value_names_key_value_and_what_the_key_takes(words: tuple[str, ...], parts: tuple[str, ...]) -> None:
    told = sentence(*GOOD, *words)
    assert all(part in told for part in parts), told


def test_keys_are_written_in_any_way() -> None:
    assert settings_of("--labels.min_cluster_size", "5").labels.min_cluster_size == 5
    assert settings_of("--set", "labels.min-cluster-size=5").labels.min_cluster_size == 5
    assert settings_of("--set=labels.min_cluster_size=5").labels.min_cluster_size == 5
    assert settings_of("--min-cluster-size", "5").labels.min_cluster_size == 5
    assert settings_of("--id_column=face").id_column == "face"
    assert settings_of("--recipe", "cosine", "--edges.threshold", "-0.5").edges.threshold == -0.5
    assert settings_of("--recipe", "cosine", "--edges.threshold", "5e-1").edges.threshold == 0.5
    assert settings_of("--recipe", "hard-clusters", "--density.sigma", "None").density.sigma is None


def test_switches_are_set_denied_and_given_values() -> None:
    assert settings_of("--recipe", "cosine", "--communities.fragments").communities.fragments
    assert not settings_of("--edges.no-valley").edges.valley
    assert not settings_of("--edges.valley", "false").edges.valley
    assert settings_of("--edges.valley=true").edges.valley


@pytest.mark.parametrize(("recipe", "value"), [("cosine", 0.7), ("auto", 0.8), ("fc-es", 0.3), ("hard-clusters", 0.4)])
def test_the_limit_is_that_of_the_recipe(recipe: str, value: float) -> None:
    edges = settings_of("--recipe", recipe, "--limit", str(value)).edges
    name = {"cosine": "threshold", "auto": "eta", "fc-es": "theta", "hard-clusters": "closeness"}[recipe]
    assert getattr(edges, name) == value


def test_effort_names_a_recipe() -> None:
    assert settings_of("--effort", "fast").recipe == "cosine"
    assert settings_of("--effort", "default").recipe == settings_of().recipe == "auto"


def test_the_recipe_is_under_the_file_and_the_file_under_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("recipe: facemap\nknn:\n  k: 50\n  probes: 9\ntraining:\n  seed: 3\n")
    settings = settings_of("--config", str(path), "--knn.k", "7")
    assert (settings.recipe, settings.edges.rule, settings.knn.k, settings.knn.probes) == ("facemap", "gap", 7, 9)
    settings = settings_of("--config", str(path), "--recipe=fc-es")
    assert (settings.recipe, settings.edges.rule, settings.knn.probes) == ("fc-es", "early-stop", 9)


def test_a_model_brings_its_recipe_under_the_file_and_a_named_recipe_beats_it(tmp_path: Path) -> None:
    model = str(tmp_path / "model")
    tiny.model(model)
    settings = settings_of("--model", model)
    assert (settings.model, settings.recipe, settings.knn.k) == (model, "sdt-row", tiny.K)
    assert settings_of("--model", model, "--recipe", "diff-cluster").recipe == "diff-cluster"
    path = tmp_path / "mine.yaml"
    path.write_text(f"model: {model}\nedges:\n  eta: 0.7\n")
    settings = settings_of("--config", str(path))
    assert (settings.model, settings.recipe, settings.edges.eta) == (model, "sdt-row", 0.7)
    with pytest.raises(InputError, match=r"holds no trained model: there is no card\.json\."):
        settings_of("--model", str(tmp_path))


def test_a_finished_verb_exits_0_and_prints_only_its_answer_to_stdout(tmp_path: Path) -> None:
    def run(options: argparse.Namespace, keys: dict[str, Any]) -> Answer:
        print("a library chats")
        return Answer({"name": options.name, "keys": keys}, "for people")

    outcome = call(small(run), "--name", "Ada", "--json", str(tmp_path / "out.json"))
    assert outcome.code == 0
    assert json.loads(outcome.stdout) == {"name": "Ada", "keys": {}}
    assert json.loads((tmp_path / "out.json").read_text()) == {"name": "Ada", "keys": {}}
    assert outcome.stderr == "a library chats\n"
    assert call(small(ignore), "--name", "Ada") == Outcome(0, "", "")


def test_damage_is_told_with_its_remedy() -> None:
    def run(*_: Any) -> None:
        raise DamagedError("R/a; b is missing.", "make it again")

    assert call(small(run), "--name", "a").errors == ["error: R/a; b is missing; make it again."]


@pytest.mark.parametrize(
    ("error", "code"), [(InputError, 2), (ConfigError, 2), (StorageError, 1), (KeyboardInterrupt, 130)]
)
def test_errors_become_one_line_on_stderr_and_an_exit_code(error: type[BaseException], code: int) -> None:
    def run(*_: Any) -> None:
        raise error("It broke.")

    outcome = call(small(run), "--name", "Ada")
    expected = (
        "interrupted: what is finished is kept; the same command goes on from here"
        if code == 130
        else "error: It broke."
    )
    assert outcome == Outcome(code, "", f"{expected}\n")


def test_a_wrong_command_line_exits_2_before_the_verb_starts() -> None:
    started: list[Any] = []
    outcome = call(small(lambda *words: started.append(words)), "--name", "Ada", "--cuont", "3")
    assert outcome == Outcome(2, "", "error: Unrecognized options: --cuont; did you mean --count?\n")
    assert started == []


def test_a_defect_exits_1_with_one_line_and_shows_where_only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: Any) -> None:
        raise KeyError("lost\nkey")

    monkeypatch.delenv("RAYCLUSTER_DEBUG", raising=False)
    outcome = call(small(run), "--name", "Ada")
    assert (outcome.code, outcome.stdout) == (1, "")
    assert len(outcome.errors) == 1
    assert outcome.errors[0].startswith("error: unexpected KeyError: ")
    monkeypatch.setenv("RAYCLUSTER_DEBUG", "1")
    with pytest.raises(KeyError):
        call(small(run), "--name", "Ada")


def raycluster(*words: str, **options: Any) -> subprocess.Popen[str]:
    """The console command in a process of its own."""
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-m", "raycluster", *words], cwd=ROOT, **streams, **options)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_verb_with_130_and_one_line(sent: signal.Signals) -> None:
    code = (
        "import argparse, time\nfrom raycluster.command_line import run\nfrom raycluster.commands.verb import Verb\n"
        "def wait(*_):\n    print('started', flush=True)\n    time.sleep(60)\n"
        "run(Verb('wait', 'Wait.', lambda parser: None, wait), [], 'wait')\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "started\n"
    process.send_signal(sent)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "interrupted: what is finished is kept; the same command goes on from here\n"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_whose_interruption_a_finalizer_loses_ends_a_verb_all_the_same() -> None:
    class Lost:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    def work(*_: Any) -> Answer:
        Lost()
        return Answer({"finished": True})

    before = {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    outcome = call(Verb("work", "Work.", lambda parser: None, work))
    for name, handler in before.items():
        signal.signal(name, handler)
    assert (outcome.code, outcome.stdout) == (130, "")
    assert call(small(ignore), "--name", "Ada") == Outcome(0, "", "")


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    process = raycluster("recipes")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()
    process.wait(timeout=60)


@pytest.mark.parametrize("name", VERBS)
def test_help_of_a_verb_is_one_screen_with_three_examples(name: str) -> None:
    outcome = call(name, "--help")
    lines = outcome.stdout.splitlines()
    assert outcome.code == 0
    assert len(lines) <= 30
    assert all(len(line) <= 120 for line in lines)
    assert len([line for line in lines if line.startswith("  raycluster ")]) == 3


def test_help_all_names_every_key_of_every_stage_with_its_documentation() -> None:
    text = call("cluster", "--help-all").stdout
    for key in ("--knn.k", "--edges.eta", "--communities.engine", "--labels.min-strength", "--estimate.nodes"):
        assert f"  {key}  " in text
    assert "model-digest" not in text
    assert "Raising it" in text


def test_the_command_lists_its_verbs_and_suggests_the_nearest() -> None:
    listed = raycluster()
    out, _ = listed.communicate(timeout=60)
    assert listed.returncode == 0
    assert all(f"  {name} " in out for name in VERBS)
    wrong = raycluster("clutser")
    _, err = wrong.communicate(timeout=60)
    assert (wrong.returncode, err) == (2, "error: There is no verb 'clutser'; did you mean 'cluster'?\n")
    version, _ = raycluster("--version").communicate(timeout=60)
    assert version.startswith("raycluster 0.2")


def test_a_run_on_one_machine_loads_neither_ray_nor_a_client_of_s3(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom raycluster.command_line import run\nfrom raycluster.commands import load\n"
        "import atexit\n"
        "atexit.register(lambda: print([name for name in ('ray', 'boto3', 'botocore', 's3fs') if name in sys.modules]))\n"
        f"run(load('demo'), ['--rows', '300', '--effort', 'fast', '-o', {str(tmp_path)!r}], 'demo')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ}, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("module", "sentence"),
    [
        ("torch.nn", "This needs the package torch: pip install torch"),
        ("ray", "This needs the package ray: pip install 'ray[default,data,train]'"),
    ],
)
def test_a_package_that_a_small_installation_lacks_is_named(module: str, sentence: str) -> None:
    def run(*_: Any) -> None:
        raise ModuleNotFoundError(f"No module named '{module}'", name=module)

    outcome = call(small(run), "--name", "a")
    assert (outcome.code, outcome.errors) == (2, [f"error: {sentence}"])


def test_a_process_without_memory_ends_in_a_sentence() -> None:
    def run(*_: Any) -> None:
        np.empty(2**59, np.float64)

    outcome = call(small(run), "--name", "a")
    assert (outcome.code, len(outcome.errors)) == (1, 1)
    assert outcome.errors[0].startswith("error: The memory that this process may take is used up")
