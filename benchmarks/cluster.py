"""Measure on the ranks of a job that is there already: `srun -n 64 python -m benchmarks`.

All ranks come here together, and do three things one after the other:

    mpi4py alone          the first rank and the last
    mpi4py.futures        rank 0 hands out, the others compute
    scoop_mpi             rank 0 is the root, all compute

So contestants don't take turns, as they do where each gets jobs of its own. The ranks of one job on
nodes of its own are undisturbed enough for that.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import measurements, raw, runner
from benchmarks.case import Case, Contestant
from benchmarks.cases import OURS
from benchmarks.launcher import Environment, NoWorld
from benchmarks.measurements import WrongResult
from benchmarks.peers import Pool, of_executor, pool_of_this_job
from benchmarks.records import Metrics, Record, Results
from scoop_mpi.job.program import Program
from scoop_mpi.launch import launchers

# What can be measured on any number of ranks that are there already.
_CASES = ("roundtrip", "submit", "map", "submit_many", "bandwidth", "metg", "uneven", "sleep")
_TASKS_PER_RANK = 40

Say = Callable[[str], None]


class FunctionProgram(Program):
    """A program that is a function, for the root to call; workers have nothing to import."""

    function: Callable[[], object]

    @classmethod
    def of(cls, function: Callable[[], object]) -> FunctionProgram:
        """Return the program that calls `function`."""
        program = cls("code", "")
        program.function = function
        return program

    @property
    def is_all(self) -> bool:
        """See `Program`: what has made this program goes on after it."""
        return False

    def run(self) -> None:
        """Call the function."""
        self.function()

    def import_(self) -> None:
        """Do nothing."""


def run(cases: Iterable[Case], rounds: int, is_short: bool, say: Say) -> Results | None:
    """Measure on COMM_WORLD. Every rank has to call this; the first one gets the results.

    Args:
        cases: those that can't be measured within a job are left out.
        rounds: how often each contestant is measured.
        is_short: whether the work is the short one.
        say: takes lines for whoever watches; called on the first rank alone.

    Raises:
        NoWorld: each process is alone in its MPI world.
    """
    # First, so that MPI is started as scoop_mpi has it, with the level of threads that it needs.
    from scoop_mpi.transport import mpi  # noqa: F401, I001
    from mpi4py import MPI
    from mpi4py.futures import MPICommExecutor

    comm = MPI.COMM_WORLD
    environment = Environment(sys.executable, raw.mpi_name(), ())
    problem = launchers.mismatch(os.environ, comm.Get_size(), environment.mpi)
    if problem is not None:
        raise NoWorld(problem)
    case_list = list(cases)
    chosen = [case for case in case_list if case.name in _CASES]
    left_out = {
        f"the case {case.name}": "it starts jobs of its own, or needs one host"
        for case in case_list
        if case.name not in _CASES
    }
    is_first = comm.Get_rank() == 0
    turn = _Turn(chosen, rounds, is_short, environment.mpi, say if is_first else _say_nothing)
    records = turn.measure("mpi4py", comm.Get_size(), raw.measure_mpi)
    with raw.aborting(), MPICommExecutor(comm) as executor:
        if executor is not None:
            workers = comm.Get_size() - 1
            records += turn.measure_pool("mpi4py.futures", of_executor(executor, workers))

    def measure_ours() -> None:
        nonlocal records
        records += turn.measure_pool(OURS, pool_of_this_job(comm.Get_size()))

    _run_scoop_mpi(measure_ours)
    if not is_first:
        return None
    machine = runner.describe_machine([environment])
    machine["cores"] += " on the first host"
    machine["ranks"] = str(comm.Get_size())
    return Results(machine, tuple(records), left_out)


def _run_scoop_mpi(function: Callable[[], None]) -> None:
    from scoop_mpi.job.config import Config
    from scoop_mpi.job.rank import run
    from scoop_mpi.launch.line_to_parent import Line

    status = run(Config(FunctionProgram.of(function)), Line())
    if status:
        sys.exit(status)


def _say_nothing(line: str) -> None:
    """For ranks that nobody watches."""


@dataclass(frozen=True, slots=True)
class _Turn:
    """Has contestants of one peer after the other measured."""

    cases: Sequence[Case]
    rounds: int
    is_short: bool
    mpi: str
    say: Say

    def measure_pool(self, peer: str, pool: Pool) -> list[Record]:
        """Measure all that is to be measured of a pool."""
        return self.measure(
            peer,
            pool.workers,
            lambda name, parameters: measurements.measure(pool, name, parameters),
        )

    def measure(
        self, peer: str, workers: int, measure: Callable[[str, Mapping[str, Any]], Metrics]
    ) -> list[Record]:
        """Measure all that is to be measured of a peer."""
        records = []
        for case in self.cases:
            for contestant in case.participants(self.is_short):
                if contestant.peer != peer:
                    continue
                parameters = _scaled(contestant, workers, self.is_short)
                for round_ in range(self.rounds):
                    metrics: Metrics = {}
                    error = None
                    try:
                        metrics = measure(contestant.measurement, parameters)
                    except WrongResult as wrong:
                        error = f"WrongResult: {wrong}"
                    name = contestant.name
                    self.say(f"{case.name}, {name}: {error or runner.in_short(metrics)}")
                    records.append(
                        Record(case.name, name, peer, self.mpi, workers, round_, metrics, error)
                    )
        return records


def _scaled(contestant: Contestant, workers: int, is_short: bool) -> dict[str, Any]:
    """Return the arguments, with as many uneven tasks as keep so many ranks busy for a while."""
    parameters = contestant.arguments(is_short)
    if contestant.measurement in ("uneven", "sleeping") and not is_short:
        parameters["count"] = max(parameters["count"], _TASKS_PER_RANK * workers)
    return parameters
