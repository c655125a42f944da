"""The command line that writes a generated set of identities."""

from dataclasses import dataclass
from typing import Literal

from raycluster.synthetic.generator import PRESETS, SyntheticConfig, write_parquet


@dataclass(frozen=True)
class SyntheticArgs:
    """Write a set of synthetic identities as Parquet files."""

    output: str
    """Directory or storage URL, made if absent; must hold no Parquet files."""
    preset: Literal["demo", "long-tail", "dense", "singletons", "large"] = "demo"
    """Which kind of set."""
    rows: int | None = None
    """Rows to write; the preset's own number if not given."""
    width: int | None = None
    """Dimensions of an embedding; the preset's own number if not given. The difficulty stays nearly the same."""
    seed: int = 0
    """Another seed gives another set with the same statistics."""


def main(args: SyntheticArgs) -> dict[str, object]:
    """Write the set; returns its rows, width and files."""
    given = {"seed": args.seed, "rows": args.rows, "width": args.width}
    chosen = {name: value for name, value in given.items() if value is not None}
    config = SyntheticConfig(**PRESETS[args.preset] | chosen)
    return {"rows": config.rows, "width": config.width, "files": write_parquet(config, args.output)}
