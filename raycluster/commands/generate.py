"""The command line of `python -m raycluster.synthetic`."""

from dataclasses import dataclass
from typing import Literal

from raycluster.synthetic.generator import write_parquet
from raycluster.synthetic.settings import PRESETS, SyntheticConfig


@dataclass(frozen=True)
class SyntheticArgs:
    """Write a set of synthetic identities as Parquet files."""

    output: str
    """Folder or storage URL, made if missing; it must hold no Parquet files."""
    preset: Literal["demo", "long-tail", "dense", "singletons", "large"] = "demo"
    """Kind of set: a mixture in seconds; most identities with one picture, as in LFW; large and hard identities, as in
    MS1M; nobody twice; identities larger than any usual K."""
    rows: int | None = None
    """Rows to write; the preset's own number unless set."""
    width: int | None = None
    """Dimensions of an embedding; the preset's own number unless set. The difficulty stays nearly the same."""
    seed: int = 0
    """Another seed gives another set with the same statistics."""


def main(args: SyntheticArgs) -> dict[str, object]:
    """Write the set; return its rows, width and files."""
    options = {"seed": args.seed, "rows": args.rows, "width": args.width}
    chosen = {name: value for name, value in options.items() if value is not None}
    config = SyntheticConfig(**PRESETS[args.preset] | chosen)
    return {"rows": config.rows, "width": config.width, "files": write_parquet(config, args.output)}
