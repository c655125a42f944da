"""The audit of a finished run: a table of findings, and a sentence."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raycluster.arrays import Int64
from raycluster.errors import InputError
from raycluster.evaluation.truth import UNKNOWN, read_labels
from raycluster.review import audit
from raycluster.review.opened import Opened
from raycluster.storage.object_store import Store
from raycluster.storage.run_folder import numbered_rows

PATH = "review/label_issues.parquet"
"""Where the findings lie in a run folder."""
MOST_NAMED = 5
"""Unknown ids that are named. More of them would not make the reason clearer."""


@dataclass(frozen=True)
class Audited:
    """The result of an audit."""

    table: pa.Table
    """`audit.schema`, the most confident finding first."""
    num_labelled: int
    url: str
    """Where the table lies."""
    unknown: tuple[str, ...] = ()
    """Ids with a label that the run does not have, as text."""

    @property
    def counts(self) -> dict[str, int]:
        """Rows per kind of finding."""
        counted = dict.fromkeys(audit.KINDS, 0)
        for one in pc.value_counts(self.table["kind"]).to_pylist():
            counted[one["values"]] = one["counts"]
        return counted

    def to_json(self) -> dict[str, Any]:
        """Return the counts, JSON-ready."""
        counts = {"labelled": self.num_labelled, "rows": self.table.num_rows, "kinds": self.counts, "table": self.url}
        return counts | {"unknown": len(self.unknown), "unknown_ids": list(self.unknown[:MOST_NAMED])}

    def in_words(self) -> str:
        """Return what was found in a few sentences."""
        counts, rows = self.counts, self.table.num_rows
        if rows == 0:
            return f"No label of {self.num_labelled:,} labelled rows is likely wrong.{self.unknown_in_words}"
        expected = float(np.sum(self.table["confidence"].to_numpy()))
        return (
            f"{rows:,} of {self.num_labelled:,} labelled rows ({rows / self.num_labelled:.1%}) likely carry a wrong label, "
            f"about {expected:,.0f} of them rightly flagged: {counts[audit.KINDS[audit.MISLABELLED]]:,} are mislabelled, "
            f"{counts[audit.KINDS[audit.ONE_IDENTITY]]:,} have a second label of one identity, "
            f"{counts[audit.KINDS[audit.SEVERAL_IDENTITIES]]:,} lie apart from the others of their label.\n"
            f"The most certain come first in {self.url}.{self.unknown_in_words}"
        )

    @property
    def unknown_in_words(self) -> str:
        """A line on labelled ids that the run does not have; empty where it has all."""
        if not self.unknown:
            return ""
        more = ", ..." if len(self.unknown) > MOST_NAMED else ""
        names = ", ".join(self.unknown[:MOST_NAMED])
        return f"\n{len(self.unknown):,} labelled ids are not in the run and take no part: {names}{more}"


def labels_of(
    truth: str, ids: pa.Array, id_column: str = "id", label_column: str = "label", numbered: int | None = None
) -> tuple[Int64, pa.Array, tuple[str, ...]]:
    """Return the label (N,) of each row as a number, and the name (L,) of each.

    Ids of the truth that are no row of the run come third, as text. A row without a label has `UNKNOWN`.

    Parameters
    ----------
    truth : str
        Parquet, CSV, TSV or JSON lines with an id and a label column; ids that are not in the run are left out.
    ids : (N,) pa.Array
        Ids of the run's rows.
    id_column, label_column : str
        Columns of the truth.
    numbered : int, optional
        Rows of a run whose ids are row numbers; none where its input has ids.

    Raises
    ------
    InputError
        A column is missing or of another type, or no row of the run has a label.
    """
    keys, labels = read_labels(truth, id_column, label_column, ids.type, numbered)
    coded = labels.combine_chunks().dictionary_encode()
    # Numbers follow the names, so that ties do not depend on the order of the file.
    order = pc.sort_indices(coded.dictionary).to_numpy()
    number = np.empty(len(order), np.int64)
    number[order] = np.arange(len(order))
    row = pc.index_in(keys, value_set=ids)
    is_present = pc.is_valid(row)
    if not pc.any(is_present).as_py():
        raise InputError(f"{truth}, column '{id_column}' holds no id of the run.")
    label = np.full(len(ids), UNKNOWN, np.int64)
    label[row.filter(is_present).to_numpy()] = number[coded.indices.to_numpy()[is_present.to_numpy()]]
    unknown = tuple(repr(key) for key in keys.filter(pc.invert(is_present)).to_pylist())
    return label, coded.dictionary.take(pa.array(order)), unknown


def audit_run(
    run: str, truth: str, *, id_column: str = "id", label_column: str = "label", least: float | None = None
) -> Audited:
    """Write labels that are likely wrong to `RUN/review/label_issues.parquet`.

    Parameters
    ----------
    run : str
        Folder of a finished run, or of an update of one.
    truth : str
        Parquet, CSV, TSV or JSON lines with an id and a label column. Rows without a label take no part.
    id_column, label_column : str
        Columns of the truth.
    least : float, optional
        Lowest confidence, 0..1; none means `audit.LEAST`. Raising it lists fewer findings, of which more are right.

    Raises
    ------
    InputError
        The run is not finished, or the truth cannot be used.
    """
    if least is not None and not 0 <= least <= 1:
        raise InputError(f"The lowest confidence is a probability from 0 to 1, not {least}.")
    opened = Opened.of(run)
    state = opened.state
    label, names, unknown = labels_of(truth, state.ids, id_column, label_column, numbered_rows(Store(run)))
    label[~state.is_alive] = UNKNOWN
    found = audit.issues(label, opened.cluster, opened.pairs, state.limits, least)
    table = audit.table_of(found, state.ids, label, names)
    store = Store(run)
    store.put_tables(PATH, [table])
    result = Audited(table, int(np.count_nonzero(label != UNKNOWN)), store.name(PATH), unknown)
    store.put("review/label_issues.json", json.dumps(result.to_json()).encode())
    return result
