"""Labels that an audit found likely wrong, as a section of the report."""

from collections import Counter

import numpy as np

from raycluster.review import charts
from raycluster.review.audit_run import PATH
from raycluster.review.cards import id_words
from raycluster.review.items import short_text
from raycluster.review.opened_run import OpenedRun
from raycluster.review.section import Section
from raycluster.storage.parts import read_parquet

SHOWN = 50
"""Findings that the table lists, the most confident first; all are in the run's table."""


def audit_section(run: OpenedRun) -> Section | None:
    """Return what `raycluster audit` found; none where it was not run."""
    data = run.store.get(PATH)
    if data is None:
        return None
    table = read_parquet(data)
    kinds = Counter(table["kind"].to_pylist())
    first = table.take(np.argsort(-table["confidence"].to_numpy(), kind="stable")[:SHOWN]).to_pylist()
    rows = [
        (id_words(line["id"]), short_text(line["given_label"]), short_text(line["suggested_label"]), line["confidence"],
         line["kind"])
        for line in first
    ]  # fmt: skip
    drawn = [{"name": kind, "value": count} for kind, count in kinds.most_common()]
    counted = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())
    return Section(
        "audit",
        "Labels that are likely wrong",
        "Bars count labels by what is wrong with them; the table lists the most confident findings first.",
        ("id", "given label", "suggested label", "confidence", "kind"),
        rows,
        charts.bars(drawn, "labels") if drawn else None,
        missing=None if drawn else "The audit found no label that is likely wrong.",
        notes=(f"{counted}. All are in {PATH} of the run.",) if drawn else (),
    )
