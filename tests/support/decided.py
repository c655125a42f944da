"""Tables of decisions in tests."""

import datetime

import pyarrow as pa

from raycluster.identities.decisions import schema


def decided(pairs, kind=None):
    """A table of (id, id, same, day) as users make it."""
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    kind = kind or pa.int64()
    ids = [pa.array([pair[side] for pair in pairs]).cast(kind) for side in (0, 1)]
    same = pa.array([pair[2] for pair in pairs], pa.bool_())
    at = pa.array([start + datetime.timedelta(days=pair[3]) for pair in pairs], pa.timestamp("us", tz="UTC"))
    by, note = pa.array(["ann"] * len(pairs), pa.string()), pa.nulls(len(pairs), pa.string())
    return pa.Table.from_arrays([*ids, same, by, at, note], schema=schema(kind))
