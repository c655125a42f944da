"""The command `python -m benchmarks NAME [options]`."""

import ast
import importlib
import sys
from pathlib import Path

from benchmarks.measuring.script import run
from benchmarks.measuring.words import parse
from raycluster.errors import RayclusterError

FOLDERS = ("kernels", "systems", "papers")


def scripts() -> dict[str, Path]:
    """Return the file of every benchmark by its name."""
    root = Path(__file__).parent
    return {
        file.stem: file
        for folder in FOLDERS
        for file in sorted((root / folder).glob("*.py"))
        if not file.stem.startswith("_")
    }


def module_of(name: str) -> str:
    """Return the full name of a benchmark's module."""
    return f"benchmarks.{scripts()[name].parent.name}.{name}"


def listing() -> str:
    """Return one line per benchmark: folder, name and what it measures."""
    lines = ["usage: python -m benchmarks NAME [options]", ""]
    for name, file in scripts().items():
        docstring = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or ""
        lines.append(f"{file.parent.name:8} {name:17} {docstring.partition(chr(10))[0]}")
    return "\n".join(lines)


def main(words: list[str]) -> None:
    """Run the benchmark that the first word names; the others are its options."""
    if not words or words[0] in ("-h", "--help"):
        print(listing())
        return
    name, *options = words
    if name not in scripts():
        sys.exit(f"error: There is no benchmark '{name}'; python -m benchmarks lists them.")
    module = importlib.import_module(module_of(name))
    try:
        if hasattr(module, "BENCHMARK"):
            run(name, module.BENCHMARK, options)
        else:  # a check of its own, with an exit code in place of tables
            sys.exit(module.main(parse(module.Args, options, prog=f"benchmarks {name}")))
    except RayclusterError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
