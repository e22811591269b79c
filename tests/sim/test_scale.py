"""Many ranks in virtual time: how well the matchmaking scales. See `benchmarks.scale`.

Virtual time does not depend on the machine that the test runs on, so efficiencies can be asserted.
"""

from __future__ import annotations

import pytest

from benchmarks.scale.costs import Costs
from benchmarks.scale.loads import LOADS
from benchmarks.scale.machine import Machine
from benchmarks.scale.rhythms import Rhythm, idling, pumping
from benchmarks.scale.study import Finding, run

SECONDS = 0.05
TASKS_PER_RANK = 40


def simulate(name: str, ranks: int, costs: Costs | None = None) -> Finding:
    return run(LOADS[name](ranks, SECONDS, TASKS_PER_RANK), ranks, costs or Costs())


@pytest.mark.parametrize(
    ("name", "efficiency"), [("equal", 0.95), ("uneven", 0.88), ("tree", 0.9), ("many", 0.8)]
)
def test_64_ranks_are_kept_busy(name: str, efficiency: float) -> None:
    found = simulate(name, 64)
    assert efficiency < found.efficiency <= 1.0
    assert found.messages_per_task < 4.0
    assert found.broker_busy < 0.05


def test_the_broker_of_a_thousand_ranks_has_time_left() -> None:
    found = simulate("equal", 1024)
    assert found.efficiency > 0.95
    assert found.messages_per_task < 1.5
    assert found.root_busy < 0.2


def test_costly_messages_cost_efficiency() -> None:
    assert simulate("equal", 64, Costs().slowed(300.0)).efficiency < 0.9


def test_a_simulation_repeats_itself() -> None:
    assert simulate("tree", 16) == simulate("tree", 16)


@pytest.mark.parametrize("times", [1, 2])
def test_a_task_that_runs_once_more_is_noticed(times: int) -> None:
    machine = Machine(4, LOADS["equal"](4, SECONDS, 5), Costs())
    machine.times_run[7] = times
    with pytest.raises(AssertionError, match="exactly once"):
        machine.run()


def test_the_tasks_of_a_tree_are_each_the_child_of_one() -> None:
    load = LOADS["tree"](4, SECONDS, 10)
    children = [child for task in range(load.count) for child in load.children(task)]
    assert children == list(range(1, load.count))


# ------------------------------------------------------------ rhythms


def test_a_rhythm_tells_the_next_moment() -> None:
    rhythm = Rhythm([1.0, 2.0, 4.0])
    moments = [rhythm.next_after(seconds) for seconds in (0.0, 1.0, 1.5, 7.0, 7.5, 11.0, 20.0)]
    assert moments == [1.0, 1.0, 3.0, 7.0, 11.0, 11.0, 23.0]
    assert [rhythm.count(seconds) for seconds in (0.5, 2.0, 5.0)] == [0, 1, 2]


def test_an_idle_rank_looks_less_and_less_often() -> None:
    rhythm = idling(Costs())
    delays = [rhythm.next_after(seconds) - seconds for seconds in (1e-5, 0.01, 1.0, 30.0)]
    assert delays[0] < 1e-4
    assert max(delays) < 0.02


def test_the_pump_looks_within_milliseconds() -> None:
    rhythm = pumping(Costs(gil_wait=0.0))
    assert 0.5e-3 < rhythm.next_after(0.0) < 2e-3
    assert rhythm.next_after(1.0) - 1.0 < 0.01
