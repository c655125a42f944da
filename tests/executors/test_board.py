"""The board of a stage: what is late gets one second copy, and lost nodes are late at once."""

from dataclasses import dataclass, field

import pytest

from raycluster.executors.board import NOTHING_LEFT, NOTHING_YET, Board


@dataclass
class World:
    """Nodes and time as a test has them."""

    now: float = 0.0
    live: set[str] = field(default_factory=lambda: {"one", "two", "three"})


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def board(world: World) -> Board:
    """Four shards: three took 20 s each, and the last has just begun."""
    board = Board([0, 1, 2, 3], lambda: world.live, lambda: world.now)
    for shard in range(3):
        world.now = 20.0 * shard
        board.begin(shard, "a", "one")
        world.now += 20.0
        board.end(shard, "a")
    board.begin(3, "b", "two")
    return board


def test_a_shard_is_late_after_one_and_a_half_times_the_usual_and_gets_one_copy(world: World, board: Board) -> None:
    world.now += 30.0
    assert board.late("a", "one") == NOTHING_YET
    world.now += 1.0
    assert board.late("a", "one") == 3
    world.now += 100.0
    assert board.late("c", "three") == NOTHING_YET, "two workers are at it"
    assert board.copies == 1


def test_a_shard_of_a_lost_node_is_late_at_once(world: World, board: Board) -> None:
    world.live.remove("two")
    assert board.late("a", "one") == 3


def test_a_copy_whose_node_is_lost_is_replaced(world: World, board: Board) -> None:
    world.now += 31.0
    assert board.late("a", "one") == 3
    world.live.remove("one")
    world.now += 31.0
    assert board.late("c", "three") == 3


def test_a_shard_that_nobody_has_begun_is_taken_over_after_a_while(world: World, board: Board) -> None:
    board.numbers.append(4)
    assert board.late("a", "one") == NOTHING_YET
    world.now += 29.0
    board.begin(3, "b", "two")
    world.now += 2.0
    assert board.late("a", "one") == 4, "its worker died before it began"


def test_nothing_is_late_before_a_first_shard_is_done(world: World) -> None:
    board = Board([0, 1], lambda: world.live, lambda: world.now)
    board.begin(0, "a", "one")
    world.now = 1e6
    assert board.late("b", "two") == NOTHING_YET


def test_the_first_of_two_to_finish_ends_the_stage(world: World, board: Board) -> None:
    world.now += 31.0
    board.late("a", "one")
    board.end(3, "a")
    assert board.late("a", "one") == NOTHING_LEFT
    board.end(3, "b")
    board.begin(3, "c", "three")
    assert (board.done(), board.in_flight()) == (4, [])


def test_attempts_are_listed_by_address_and_the_longest_first(world: World, board: Board) -> None:
    board.enter("two", "10.0.0.2")
    world.now += 5.0
    board.begin(2, "a", "one")
    board.begin(9, "c", "three")
    world.now += 1.0
    assert board.in_flight() == [(3, "10.0.0.2", 6.0), (9, "three", 1.0)]
    assert board.addresses() == ["10.0.0.2"]


def test_rows_of_all_workers_add_up(board: Board) -> None:
    board.advance(10.0)
    board.advance(2.5)
    assert board.reported_rows() == 12.5
