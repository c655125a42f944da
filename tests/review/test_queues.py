"""The four queues of a run folder."""

import numpy as np
import pytest

from raycluster.errors import InputError
from raycluster.review.queue_tables import KINDS, items_of, read_queue
from raycluster.review.queues import make_queues
from raycluster.storage.object_store import Store
from support import tiny
from support.command_line import call


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("queues")
    tiny.run(path, "cosine")
    tiny.run(path, "cosine", 4, name="sharded")
    return path


def test_every_queue_is_written_and_read_back(folder):
    queues = make_queues(str(folder / "run"), 20)
    for kind in KINDS:
        table = read_queue(Store(str(folder / "run")), kind)
        assert [item.item for item in items_of(table)] == list(range(len(queues[kind])))
        assert [item.ids_a for item in items_of(table)] == [item.ids_a for item in queues[kind]]


def test_shards_have_no_influence(folder):
    one, other = (make_queues(str(folder / name)) for name in ("run", "sharded"))
    assert one == other
    assert len(one["merge"]) > 5 < len(one["split"])
    assert all(np.isfinite(item.probability) for queue in one.values() for item in queue)


def test_the_verb_writes_queues_alone(folder):
    outcome = call("review", str(folder / "run"), "--queues-only", "--most", "3")
    assert outcome.code == 0, outcome.stderr
    assert call("review", str(folder / "run"), "--queues-only", "--most", "0").code == 2
    assert read_queue(Store(str(folder / "run")), "merge").num_rows == 3


def test_no_run_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="no finished run"):
        make_queues(str(tmp_path))
