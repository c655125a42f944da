"""The frame of every command: options, one call, an answer, an exit code.

    0 done    2 a mistake of the user's    1 a failure    130 interrupted

The answer goes to stdout: words for a person on a terminal, JSON in a pipe or with --json. Everything else goes to stderr.
"""

import argparse
import contextlib
import difflib
import json
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from raycluster._version import __version__
from raycluster.commands import VERBS, load
from raycluster.commands.keys import describe_keys, split_keys
from raycluster.commands.verb import Answer, Verb
from raycluster.errors import ConfigError, RayclusterError
from raycluster.executors import endings
from raycluster.secrecy import printable
from raycluster.storage.streams import open_closed_streams, printed, require_working_folder, write_text

ALIASES = ("--input", "--run", "--truth")
"""Options that the jobs take for what is positional here."""
OPTIONAL = {"torch": "torch", "ray": "'ray[default,data,train]'"}
"""Packages that an installation for one machine may lack, and what pip installs."""
INTERRUPTED = 130
"""Exit code of a job that a signal ended, as shells have it."""


class _Parser(argparse.ArgumentParser):
    """argparse, which ends with one sentence of ours."""

    def error(self, message: str) -> NoReturn:
        options = [option for action in self._actions for option in action.option_strings if action.help != "-"]
        if message.startswith("unrecognized arguments: "):
            raise ConfigError(_unrecognized(message.removeprefix("unrecognized arguments: ").split(), options))
        if message.startswith("the following arguments are required: "):
            names = message.removeprefix("the following arguments are required: ").split(", ")
            raise ConfigError(f"Missing: {', '.join(name.rpartition('/')[2] for name in names)}.")
        raise ConfigError(f"{message[:1].upper()}{message[1:].rstrip('.')}.")


def _unrecognized(words: list[str], options: list[str]) -> str:
    """Return the sentence for options that do not exist, with the nearest."""
    unknown = [word.partition("=")[0] for word in words if word.startswith("-")] or words[:1]
    near = [match for word in unknown for match in difflib.get_close_matches(word, options, n=1)]
    hint = f"did you mean {', '.join(near)}?" if near else "--help lists all there are."
    return f"Unrecognized options: {', '.join(dict.fromkeys(unknown))}; {hint}"


def parser_of(verb: Verb, prog: str) -> argparse.ArgumentParser:
    """Return the parser of a verb's plain options."""
    epilog = "examples:\n" + "\n".join(f"  {line}" for line in verb.examples) if verb.examples else None
    parser = _Parser(
        prog=prog, description=verb.summary, epilog=epilog, allow_abbrev=False, add_help=False,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=32, width=100),
    )  # fmt: skip
    verb.arguments(parser)
    parser.add_argument(
        "--json", nargs="?", const="", default=None, metavar="FILE", help="print JSON, or write it to FILE"
    )
    if verb.keys():
        parser.add_argument(
            "--set", metavar="KEY=VALUE", action="append", help="any key, also as --<stage>.<key> VALUE"
        )
        parser.add_argument("--help-all", action="store_true", help="show every option and every key of every stage")
    positional = [action.metavar or action.dest for action in parser._get_positional_actions()]
    parser.usage = " ".join([prog, *map(str, positional), "[options]"])
    return parser


def parse(verb: Verb, words: Sequence[str], prog: str) -> tuple[argparse.Namespace, dict[str, Any]]:
    """Return the plain options and the configuration keys of a command line.

    Words may be written with - or _. Raises ConfigError with one sentence.

    Parameters
    ----------
    verb
        Whose options and configuration keys are allowed.
    words
        The command line behind the verb.
    prog
        The command's name in messages, as in `raycluster cluster`.
    """
    words = [_hyphened(word) for word in words]
    parser = parser_of(verb, prog)
    if any(word in ("-h", "--help", "--help-all") for word in words):
        print(parser.format_help().rstrip())
        if "--help-all" in words:
            hidden = [action.option_strings[0] for action in parser._actions if action.help == argparse.SUPPRESS]
            print(f"\nmore options: {', '.join(option for option in hidden if option not in ALIASES)}")
            print(describe_keys(verb.keys()))
        raise SystemExit(0)
    rest, keys = split_keys(words, verb.keys())
    return parser.parse_args(rest), keys


def _hyphened(word: str) -> str:
    """Return an option with hyphens in its name: --id_column is --id-column."""
    if not word.startswith("--"):
        return word
    name, equals, value = word.partition("=")
    return f"{name.replace('_', '-')}{equals}{value}"


def main(words: Sequence[str] | None = None, prog: str = "raycluster") -> NoReturn:
    """Run the command line of `raycluster` and leave the process."""
    open_closed_streams()
    words = sys.argv[1:] if words is None else words
    if not words or words[0] in ("-h", "--help"):
        print(_verbs())
        sys.exit(0)
    if words[0] == "--version":
        print(f"raycluster {__version__}")
        sys.exit(0)
    name = words[0].replace("_", "-")
    if name not in VERBS:
        near = difflib.get_close_matches(name, VERBS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(VERBS)}."
        print(f"error: There is no verb '{words[0]}'; {hint}", file=sys.stderr)
        sys.exit(2)
    run(load(name), words[1:], f"{prog} {name}")


def run(verb: Verb, words: Sequence[str], prog: str) -> NoReturn:
    """Run one verb and leave the process.

    Parameters
    ----------
    verb
        What to run.
    words
        The command line behind the verb.
    prog
        The command's name in messages.
    """
    open_closed_streams()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # a closed terminal ends a job as Ctrl-C does; Windows has no SIGHUP
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), endings.end)
    endings.forget()
    is_done = False
    try:
        require_working_folder()
        options, keys = parse(verb, words, prog)
        with contextlib.redirect_stdout(sys.stderr):
            answer = verb.run(options, keys)
        endings.check()
        is_done = True
        if answer is not None:
            _print(answer, options.json)
    except RayclusterError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        endings.forget()
        print("interrupted: what is finished is kept; the same command goes on from here", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        for number in (1, 2):  # the reader has gone: what is left to flush goes nowhere
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
        sys.exit(0 if is_done else INTERRUPTED)
    except Exception as error:
        if os.environ.get("RAYCLUSTER_DEBUG"):
            raise
        sentence, exit_code = _explained(error)
        print(f"error: {sentence}", file=sys.stderr)
        sys.exit(exit_code)
    sys.exit(0)


def _explained(error: Exception) -> tuple[str, int]:
    """Return the sentence and the exit code of an error that is not ours."""
    if isinstance(error, MemoryError):
        return "The memory that this process may take is used up; allow more, or lower --knn.k", 1
    if (package := _lacking(error)) is not None:
        return f"This needs the package {package}: pip install {OPTIONAL[package]}", ConfigError.exit_code
    what = printable(" ".join(f"{type(error).__name__}: {error}".split()))
    return f"unexpected {what} (RAYCLUSTER_DEBUG=1 shows where)", 1


def _lacking(error: Exception) -> str | None:
    """Return the package that a small installation lacks; none for other errors."""
    name = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    return name if name in OPTIONAL else None


def _print(answer: Answer, json_option: str | None) -> None:
    """Print an answer, and write it to the file that --json names."""
    text = json.dumps(answer.values, indent=2)
    if json_option:
        write_text(json_option, text)
    is_for_people = answer.text is not None and sys.stdout.isatty() and json_option is None
    with printed():
        print(answer.text if is_for_people else text, flush=True)


def _verbs() -> str:
    """Return the screen that lists the verbs."""
    width = max(len(name) for name in VERBS)
    lines = [f"  {name.ljust(width)}  {summary}" for name, summary in VERBS.items()]
    return "\n".join(
        [
            "usage: raycluster VERB [options]",
            "",
            "Find identities among embeddings when nobody knows how many there are.",
            "",
            *lines,
            "",
            "raycluster VERB --help shows the options of a verb; raycluster --version the version.",
        ]
    )
