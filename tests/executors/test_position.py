"""Where a job stands in words: rows, speed, seconds left of the stage and of the run."""

import threading

import pytest

from raycluster.executors.position import Outlook, Position, Preparation


def test_rows_speed_and_what_is_left() -> None:
    position = Position("relations", 6000, began=100.0, place="stage 4 of 7, ", expected=50.0, later=5.0)
    assert position.words(100.0) == "stage 4 of 7, relations: 0 of 6,000 rows, 50 s left, 55 s left of the run"
    position.finish(1000)
    position.within(500)
    assert position.words(110.0) == (
        "stage 4 of 7, relations: 1,500 of 6,000 rows, 150 rows/s, 30 s left, 35 s left of the run"
    )
    assert position.summary(140.0) == "stage 4 of 7, relations: 6,000 rows in 40.0 s, 150 rows/s"


def test_a_finished_task_replaces_the_rows_that_it_reported() -> None:
    position = Position("knn", 100)
    position.within(30)
    position.finish(50)
    assert position.done == 50
    position.within(70)
    assert position.done == 100


def test_rows_of_earlier_processes_count_and_do_not_make_it_faster() -> None:
    position = Position("knn", 100, before=50)
    position.finish(25)
    assert position.words(10.0) == "knn: 75 of 100 rows, 2 rows/s, 10 s left"
    assert position.summary(10.0) == "knn: 100 rows (50 of them before) in 10.0 s, 5 rows/s"


def test_without_rows_and_beyond_the_forecast_only_the_seconds_are_shown() -> None:
    position = Position("communities", 100, expected=3.0)
    assert position.words(2.0) == "communities: 0 of 100 rows, 1 s left"
    assert position.words(8.0) == "communities: 0 of 100 rows, 8 s so far"
    assert Preparation("knn", 1.0, "stage 2 of 3, ").words(4.0) == "stage 2 of 3, knn: preparing, 3 s so far"


def test_reports_of_many_threads_add_up() -> None:
    position = Position("knn", 10**6)
    threads = [threading.Thread(target=lambda: [position.within(1) for _ in range(2000)] and None) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert position.done == 16_000


def test_forecasts_follow_what_the_stages_before_took() -> None:
    outlook = Outlook(["knn", "relations", "edges", "labels"])
    assert outlook.of("knn") is None
    assert outlook.after("knn") is None
    outlook.seconds = {"knn": 10.0, "relations": 40.0, "edges": 2.0, "labels": 4.0}
    assert outlook.after("knn") == 46.0
    outlook.count("knn", 20.0)
    scale = (20.0 + 5.6) / (10.0 + 5.6)
    assert outlook.of("relations") == pytest.approx(40.0 * scale)
    assert outlook.after("relations") == pytest.approx(6.0 * scale)
    assert outlook.place("edges") == "stage 3 of 4, "
    assert outlook.place("another") == ""
    assert outlook.after("another") is None
