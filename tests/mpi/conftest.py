"""Tests on real MPI: every rank runs the same tests, and each starts a job of its own kind.

Within a test, `job(program)` runs `program` on rank 0 as the root of a job of all ranks, while the
others serve as workers until it has ended. All ranks get what it returned, or raise what it
raised. So a test reads the same as those of the simulation, and the jobs start and end many times
in one process.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.cluster import FunctionProgram
from scoop_mpi import current
from scoop_mpi.engine.idle import Backoff
from scoop_mpi.job.rank import Rank, start_pump
from scoop_mpi.transport.mpi import MPITransport

Job = Callable[[Callable[[], Any]], Any]


@pytest.fixture(scope="session")
def transport() -> MPITransport:
    return MPITransport()


@pytest.fixture
def job(transport: MPITransport) -> Job:
    """Run a function as the program of a job of all ranks."""
    logger = logging.getLogger("scoop_mpi")
    ranks_per_core = transport.ranks_per_core

    def run(function: Callable[[], Any]) -> Any:
        outcome: list[tuple[Any, BaseException | None]] = []

        def call() -> None:
            try:
                outcome.append((function(), None))
            except BaseException as error:
                outcome.append((None, error))

        program = FunctionProgram.of(call)
        rank = Rank(program, transport, Backoff(ranks_per_core), time.perf_counter, logger)
        current.hub = rank.hub
        pump = start_pump(rank, logger)
        try:
            rank.run()
        finally:
            if pump is not None:
                pump.stop()
            current.hub = None
        transport.barrier()
        value, error = outcome[0] if outcome else (None, None)
        if error is not None:
            raise error
        return value

    return run
