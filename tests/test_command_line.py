"""The frame of every job: sentences for wrong command lines, exit codes, and what goes to which stream."""

import io
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
import tyro

from raycluster.command_line import early_options, parse
from raycluster.commands.cluster import ClusterArgs, with_recipe
from raycluster.commands.import_features import ImportArgs
from raycluster.config.stages import INTERNAL_KEYS, Config
from raycluster.errors import ConfigError, InputError, StorageError
from raycluster.evaluation.evaluate import EvaluateArgs
from support import tiny
from support.command_line import Outcome, call
from support.paths import ROOT


@dataclass(frozen=True)
class SmallArgs:
    """Do little."""

    name: str
    """Who."""
    count: int = 1
    """How often."""


def ignore(_: Any) -> None:
    """A job that has nothing to say."""


@pytest.fixture(params=["utf-8", "ascii"])
def encoding(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A stdout of either encoding: tyro draws other boxes around its complaints on each."""
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=request.param))
    return request.param


def sentence(monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    monkeypatch.setattr(sys, "argv", ["jobs/cluster.py", *words])
    with pytest.raises(ConfigError) as caught:
        parse(ClusterArgs, with_recipe())
    return str(caught.value)


GOOD = ("--input", "a", "--output", "b")


@pytest.mark.usefixtures("encoding")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--knn.kk", "3", *GOOD), "Unrecognized options: --knn.kk; did you mean --knn.k?"),
        (("--knn.kk=3", *GOOD), "Unrecognized options: --knn.kk; did you mean --knn.k?"),
        (("--inptu", "a", "--output", "b"), "Unrecognized options: --inptu; did you mean --input?"),
        (
            (*GOOD, "--edges.thresh", "1", "--knn.kk", "2"),
            "Unrecognized options: --edges.thresh, --knn.kk; did you mean --edges.threshold, --knn.k?",
        ),
        ((*GOOD, "--zzzzzz"), "Unrecognized options: --zzzzzz; --help lists all there are."),
        ((*GOOD, "--model-digest", "1"), "Unrecognized options: --model-digest; did you mean --model?"),
        ((*GOOD, "--edges.gap-z", "1"), "Unrecognized options: --edges.gap-z; did you mean --edges.sigma?"),
        ((*GOOD, "stray"), "Unrecognized options: stray."),
        ((), "Missing: --input, --output."),
        (("--input", "a"), "Missing: --output."),
        ((*GOOD, "--knn.k", "abc"), "--knn.k: invalid literal for int() with base 10: 'abc'."),
        ((*GOOD, "--knn.k", "zwölf"), "--knn.k: invalid literal for int() with base 10: 'zwölf'."),
        ((*GOOD, "--knn.k"), "Missing value for argument '--knn.k'; expected 1 values."),
        ((*GOOD, "--recipe"), "Missing value for argument '--recipe'; expected 1 values."),
        (
            (*GOOD, "--knn.index", "hnsw"),
            "invalid choice 'hnsw' for argument '--knn.index'; expected one of ('auto', 'exact', 'ivf').",
        ),
        ((*GOOD, "--edges.threshold", "3"), "edges.threshold is 3.0: it takes a number from -1 to 1, or None."),
        ((*GOOD, "--shards", "0"), "--shards is 0: it takes a whole number of at least 1, or None."),
    ],
)
def test_a_wrong_command_line_gets_one_short_sentence(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], expected: str
) -> None:
    assert sentence(monkeypatch, *words) == expected


def test_an_option_spelled_with_underscores_is_not_called_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    said = sentence(monkeypatch, *GOOD, "--labels.min_cluster_size", "abc")
    assert said == "--labels.min-cluster-size: invalid literal for int() with base 10: 'abc'."


def test_negative_numbers_are_values_and_no_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["jobs/cluster.py", *GOOD, "--edges.threshold", "-0.5", "--recipe", "cosine"])
    assert parse(ClusterArgs, with_recipe()).settings.edges.threshold == -0.5


def test_the_recipe_is_under_the_file_and_the_file_under_the_command_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("recipe: facemap\nknn:\n  k: 50\n  probes: 9\n")
    monkeypatch.setattr(sys, "argv", ["jobs/cluster.py", *GOOD, "--config", str(path), "--knn.k", "7"])
    settings = parse(ClusterArgs, with_recipe()).settings
    assert (settings.recipe, settings.edges.rule) == ("facemap", "gap")
    assert (settings.knn.k, settings.knn.probes) == (7, 9)


def test_a_recipe_on_the_command_line_beats_the_one_in_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("recipe: facemap\nknn:\n  probes: 9\n")
    monkeypatch.setattr(sys, "argv", ["jobs/cluster.py", *GOOD, "--config", str(path), "--recipe=fc-es"])
    settings = parse(ClusterArgs, with_recipe()).settings
    assert (settings.recipe, settings.edges.rule) == ("fc-es", "early-stop")
    assert (settings.knn.k, settings.knn.probes) == (80, 9)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), [None, None]),
        (GOOD, [None, None]),
        (("--recipe", "fc-es"), ["fc-es", None]),
        (("--recipe=fc-es", *GOOD, "--config", "my.yaml"), ["fc-es", "my.yaml"]),
        (("--config", "my.yaml", "--recipe", "a", "--recipe", "b"), ["b", "my.yaml"]),
        (("--recipe",), [None, None]),
        (("--recipe", "--config", "my.yaml"), [None, "my.yaml"]),
        (("--recip", "a", "--conf=b"), [None, None]),
        (("--recipe-of", "a", "--edges.config", "b"), [None, None]),
        (("--knn.k", "many", "stray", "--no-such"), [None, None]),
        (("--recipe", "s3://bucket/a b.yaml", "--edges.threshold", "-0.5"), ["s3://bucket/a b.yaml", None]),
        (("--recipe=", "--config", "x=y"), ["", "x=y"]),
        (("--help", "--recipe", "fc-es"), ["fc-es", None]),
    ],
)
def test_early_options_are_read_past_whatever_else_is_there(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], expected: list[str | None]
) -> None:
    monkeypatch.setattr(sys, "argv", ["job.py", *words])
    assert early_options("--recipe", "--config") == expected


def settings_of(monkeypatch: pytest.MonkeyPatch, *words: str) -> Config:
    monkeypatch.setattr(sys, "argv", ["jobs/cluster.py", *GOOD, *words])
    return parse(ClusterArgs, with_recipe()).settings


@pytest.fixture
def model(tmp_path: Path) -> str:
    """A model of recipe sdt-row, trained on 12 neighbors a row."""
    tiny.model(tmp_path / "model")
    return str(tmp_path / "model")


def test_a_model_brings_the_recipe_it_was_trained_for(monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    settings = settings_of(monkeypatch, "--model", model, "--knn.probes", "9")
    assert (settings.model, settings.recipe, settings.edges.rule) == (model, "sdt-row", "score")
    assert (settings.knn.k, settings.knn.probes) == (12, 9)


def test_a_named_recipe_beats_that_of_the_model(monkeypatch: pytest.MonkeyPatch, model: str, tmp_path: Path) -> None:
    settings = settings_of(monkeypatch, "--model", model, "--recipe", "fc-es-topk")
    assert (settings.model, settings.recipe, settings.edges.rule, settings.knn.k) == (
        model,
        "fc-es-topk",
        "early-stop",
        80,
    )
    path = tmp_path / "mine.yaml"
    path.write_text("recipe: facemap\n")
    assert settings_of(monkeypatch, "--model", model, "--config", str(path)).recipe == "facemap"


def test_a_model_may_be_named_in_the_file_and_the_file_lies_over_its_recipe(
    monkeypatch: pytest.MonkeyPatch, model: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"model: {model}\nedges:\n  eta: 0.7\n")
    settings = settings_of(monkeypatch, "--config", str(path))
    assert (settings.model, settings.recipe, settings.edges.eta, settings.knn.k) == (model, "sdt-row", 0.7, 12)


def test_a_model_in_the_file_that_is_no_text_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("model: 3\n")
    with pytest.raises(ConfigError) as caught:
        settings_of(monkeypatch, "--config", str(path))
    assert str(caught.value) == f"{path} sets 'model' to 3; it takes text, or None."


def test_a_file_with_a_training_section_serves_the_main_job_too(
    monkeypatch: pytest.MonkeyPatch, model: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("edges:\n  eta: 0.7\ntraining:\n  seed: 3\n")
    assert settings_of(monkeypatch, "--recipe", "sdt-row", "--config", str(path)).edges.eta == 0.7
    assert settings_of(monkeypatch, "--model", model, "--config", str(path)).edges.eta == 0.7


def test_a_model_that_is_none_is_refused_before_anything_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["jobs/cluster.py", *GOOD, "--model", str(tmp_path)])
    with pytest.raises(InputError, match=r"holds no trained model: there is no card\.json\."):
        with_recipe()


def test_a_finished_job_exits_0_and_prints_only_its_result_to_stdout() -> None:
    def main(args: SmallArgs) -> dict[str, Any]:
        print("a library chats")
        return {"name": args.name, "count": args.count}

    outcome = call(SmallArgs, main, "--name", "Ada", "--count", "2")
    assert outcome.code == 0
    assert json.loads(outcome.stdout) == {"name": "Ada", "count": 2}
    assert outcome.stderr == "a library chats\n"


def test_a_job_without_a_result_prints_nothing() -> None:
    assert call(SmallArgs, ignore, "--name", "Ada") == Outcome(0, "", "")


@pytest.mark.parametrize(
    ("error", "code"), [(InputError, 2), (ConfigError, 2), (StorageError, 1), (KeyboardInterrupt, 130)]
)
def test_errors_become_one_line_on_stderr_and_an_exit_code(error: type[BaseException], code: int) -> None:
    def main(_: SmallArgs) -> None:
        raise error("It broke.")

    outcome = call(SmallArgs, main, "--name", "Ada")
    expected = "interrupted: nothing is lost; the same command goes on from here" if code == 130 else "error: It broke."
    assert outcome == Outcome(code, "", f"{expected}\n")


def test_a_wrong_command_line_exits_2_before_the_job_starts() -> None:
    started: list[SmallArgs] = []
    outcome = call(SmallArgs, started.append, "--name", "Ada", "--cuont", "3")
    assert outcome == Outcome(2, "", "error: Unrecognized options: --cuont; did you mean --count?\n")
    assert started == []


def test_a_wrong_default_exits_2_too() -> None:
    def default() -> SmallArgs:
        raise ConfigError("There is no such recipe.")

    outcome = call(SmallArgs, ignore, default=default)
    assert outcome == Outcome(2, "", "error: There is no such recipe.\n")


def test_a_defect_exits_1_with_one_line_and_shows_where_only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def main(_: SmallArgs) -> None:
        raise KeyError("lost\nkey")

    monkeypatch.delenv("RAYCLUSTER_DEBUG", raising=False)
    outcome = call(SmallArgs, main, "--name", "Ada")
    assert (outcome.code, outcome.stdout) == (1, "")
    assert outcome.stderr == "error: unexpected KeyError: 'lost\\nkey' (RAYCLUSTER_DEBUG=1 shows where)\n"
    monkeypatch.setenv("RAYCLUSTER_DEBUG", "1")
    with pytest.raises(KeyError):
        call(SmallArgs, main, "--name", "Ada")


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_job_with_130_and_one_line(tmp_path: Path, sent: signal.Signals) -> None:
    script = tmp_path / "job.py"
    script.write_text(
        "import time\nfrom dataclasses import dataclass\nfrom raycluster.command_line import run_job\n"
        "@dataclass\nclass Args:\n    seconds: float = 60.0\n"
        "def main(args):\n    print('ready', flush=True)\n    time.sleep(args.seconds)\n"
        "run_job(Args, main)\n"
    )
    process = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert process.stderr is not None
        assert process.stderr.readline() == "ready\n"
        process.send_signal(sent)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, out) == (130, "")
    assert err == "interrupted: nothing is lost; the same command goes on from here\n"


def test_help_of_the_main_job_names_every_key_of_every_stage() -> None:
    outcome = call(ClusterArgs, ignore, "--help", default=with_recipe)
    assert (outcome.code, outcome.stderr) == (0, "")
    public = [section for section in fields(Config) if section.name not in INTERNAL_KEYS]
    assert "digest" not in outcome.stdout
    for section in public:
        inner = getattr(Config(), section.name)
        names = [f"{section.name}.{key.name}" for key in fields(inner)] if is_dataclass(inner) else [section.name]
        for name in names:
            assert f"--{name.replace('_', '-')} " in outcome.stdout.replace(",", " ")


@pytest.mark.parametrize("args_type", [EvaluateArgs, ImportArgs])
def test_help_of_the_other_jobs_names_every_option(args_type: type[Any]) -> None:
    outcome = call(args_type, ignore, "--help")
    assert (outcome.code, outcome.stderr) == (0, "")
    for option in fields(args_type):
        assert f"--{option.name.replace('_', '-')}" in outcome.stdout


def test_parsing_gives_what_tyro_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    words = [*GOOD, "--knn.k", "12", "--workers", "3", "--dry-run"]
    monkeypatch.setattr(sys, "argv", ["jobs/cluster.py", *words])
    parsed = parse(ClusterArgs, with_recipe())
    assert parsed == tyro.cli(ClusterArgs, args=words, default=with_recipe())
    assert (parsed.settings.knn.k, parsed.execution.workers, parsed.dry_run) == (12, 3, True)
