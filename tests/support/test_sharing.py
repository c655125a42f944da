"""Files stay together and tests on Ray too, however many processes share the tests out."""

from types import SimpleNamespace
from typing import Any

from support.sharing import RAY, Sharing, group_of

FILE, OTHER, ON_RAY = "tests/test_errors.py", "tests/test_secrecy.py", "tests/executors/test_ray_data.py"
DEATH = f"{ON_RAY}::test_a_worker_that_dies_is_replaced_and_its_task_is_tried_again[a]"
TESTS = [
    DEATH,
    f"{FILE}::test_a",
    f"{OTHER}::test_a[x::y]",
    f"{FILE}::Case::test_b",
    f"{OTHER}::test_b",
    f"{FILE}::test_c",
]


class Process:
    """A process of xdist that keeps what it is asked to run."""

    gateway = SimpleNamespace(id="gw")

    def __init__(self) -> None:
        self.tests: list[str] = []
        self.shutting_down = False

    def send_runtest_some(self, numbers: list[int]) -> None:
        self.tests += [TESTS[number] for number in numbers]

    def shutdown(self) -> None:
        self.shutting_down = True


def test_a_test_is_of_the_group_of_its_file_or_of_ray():
    assert [group_of(test) for test in TESTS] == [RAY, FILE, OTHER, FILE, OTHER, FILE]


def test_tests_with_a_fixture_on_ray_are_on_ray_too():
    assert (
        group_of("tests/executors/test_ray_train.py::test_a_mistake_of_a_worker_arrives_as_it_is_and_is_not_repeated")
        == RAY
    )
    assert (
        group_of("tests/training/test_job.py::test_labels_that_cannot_be_learned_from[a]")
        == "tests/training/test_job.py"
    )


def test_two_processes_get_whole_groups_in_their_order():
    config: Any = SimpleNamespace(
        getvalue=lambda name: ["2*popen"], option=SimpleNamespace(loadscopereorder=False), hook=None
    )
    sharing, processes = Sharing(config), (Process(), Process())
    for process in processes:
        sharing.add_node(process)  # type: ignore[arg-type]
        sharing.add_node_collection(process, TESTS)  # type: ignore[arg-type]
    sharing.schedule()
    while sharing.has_pending:
        for process in processes:
            for test in [test for test in process.tests if not sharing.assigned_work[process][group_of(test)][test]][
                :1
            ]:
                sharing.mark_test_complete(process, TESTS.index(test))  # type: ignore[arg-type]
    assert sorted(processes[0].tests + processes[1].tests) == sorted(TESTS)
    for process in processes:
        for group in {group_of(test) for test in process.tests}:
            assert [test for test in process.tests if group_of(test) == group] == [
                test for test in TESTS if group_of(test) == group
            ]
    assert processes[0].tests[0] == DEATH
    assert processes[1].tests[:3] == [test for test in TESTS if group_of(test) == FILE]
