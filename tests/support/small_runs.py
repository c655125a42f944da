"""Runs, blocks and samples of ids so small that a few rows take several of each."""

import pytest

from raycluster.stages import ids


def make_small(
    monkeypatch: pytest.MonkeyPatch, run_bytes: int = 150, block_rows: int = 4, sample_rows: int = 2
) -> None:
    """Set the sizes: a run of about as many bytes, blocks and samples of as many rows."""
    monkeypatch.setattr(ids, "RUN_BYTES", run_bytes)
    monkeypatch.setattr(ids, "BLOCK_ROWS", block_rows)
    monkeypatch.setattr(ids, "SAMPLE_ROWS", sample_rows)
