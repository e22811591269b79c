"""What pools are compared with: mpi4py alone, processes that only compute, plain Python."""

from __future__ import annotations

import multiprocessing
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import workloads
from benchmarks.measurements import expect
from benchmarks.records import Metrics
from benchmarks.stats import percentiles
from benchmarks.timing import seconds_per_iteration, timed

if TYPE_CHECKING:
    from mpi4py import MPI

# ---------------------------------------------------------------- between two ranks of MPI


def ping_pong(comm: MPI.Comm, *, count: int) -> Metrics:
    """mpi4py's pickled send and receive, there and back, between the first rank and the last."""
    last = comm.Get_size() - 1
    seconds = []
    comm.Barrier()
    if comm.Get_rank() == 0:
        clock = time.perf_counter
        for index in range(count + count // 10):
            begin = clock()
            comm.send(index, last)
            answer = comm.recv(source=last)
            seconds.append(clock() - begin)
            expect(answer == index, f"{answer!r} came back for {index}")
        ranked = percentiles(seconds[count // 10 :])
        return {
            "p50": ranked[50],
            "p99": ranked[99],
            "worst": ranked[100],
            "percentiles": list(ranked),
        }
    if comm.Get_rank() == last:
        for _ in range(count + count // 10):
            comm.send(comm.recv(source=0), 0)
    return {}


def send_arrays(
    comm: MPI.Comm, *, sizes: list[int], repeats: int, into_new_memory: bool
) -> Metrics:
    """mpi4py's `Send` of arrays from the first rank to the last, which answers with a byte.

    Args:
        comm: the ranks.
        sizes: of the arrays, in bytes.
        repeats: how many times each is sent.
        into_new_memory: whether each is received into an array made for it, as a task's argument
            has to be; otherwise all go into the same one, whose pages the system has mapped.
    """
    last = comm.Get_size() - 1
    answer = np.zeros(1, np.uint8)
    rates = []
    comm.Barrier()
    for size in sizes:
        if comm.Get_rank() == 0:
            array = np.full(size, 7, np.uint8)
            seconds = []
            for _ in range(repeats + 1):
                begin = time.perf_counter()
                comm.Send(array, last)
                comm.Recv(answer, last)
                seconds.append(time.perf_counter() - begin)
                expect(int(answer[0]) == 7, "the array arrived changed")
            rates.append(size / statistics.median(seconds[1:]))
        elif comm.Get_rank() == last:
            array = np.empty(size, np.uint8)
            for _ in range(repeats + 1):
                if into_new_memory:
                    array = np.empty(size, np.uint8)
                comm.Recv(array, 0)
                comm.Send(array[-1:], 0)
    if not rates:
        return {}
    return {"sizes": [float(size) for size in sizes], "rates": rates, "rate": rates[-1]}


OF_MPI: Mapping[str, Callable[..., Metrics]] = {
    function.__name__: function for function in (ping_pong, send_arrays)
}

# ---------------------------------------------------------------- without MPI


def import_seconds(*, repeats: int) -> Metrics:
    """How long the import of `scoop_mpi.futures` takes, after that of mpi4py's MPI and greenlet."""
    code = """if True:
        import sys, time
        import greenlet
        from mpi4py import MPI
        begin = time.perf_counter()
        import scoop_mpi.futures
        print(time.perf_counter() - begin, "numpy" in sys.modules)
    """
    seconds, loads_numpy = [], False
    for _ in range(repeats + 1):  # the first writes the byte code
        answer = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
        ).stdout.split()
        seconds.append(float(answer[0]))
        loads_numpy |= answer[1] == "True"
    return {"seconds": statistics.median(seconds[1:]), "loads_numpy": float(loads_numpy)}


def independent_processes(
    *, processes: int, count: int, shortest: float, longest: float
) -> Metrics:
    """How much of a core each of several processes gets that compute at the same time.

    Each computes all the tasks of the uneven load; the time is compared with that of one process
    that has the machine to itself. It is what the machine allows a pool to reach.
    """
    per_iteration = seconds_per_iteration()
    lengths = workloads.uneven_lengths(count, shortest, longest)
    work = [round(length / per_iteration) for length in lengths]
    context = multiprocessing.get_context("fork")
    pipes, children = [], []
    for _ in range(processes):
        ours, theirs = context.Pipe()
        child = context.Process(target=_compute_when_told, args=(theirs, work))
        child.start()
        pipes.append(ours)
        children.append(child)
    alone = [_seconds_of(pipes[:1])]
    together = _seconds_of(pipes)
    alone.append(_seconds_of(pipes[:1]))
    for pipe in pipes:
        pipe.send(False)
    for child in children:
        child.join()
    return {"efficiency": statistics.mean(alone) / together}


def _seconds_of(pipes: list[Connection]) -> float:
    """Have these processes compute at the same time; return what they took on average."""
    for pipe in pipes:
        pipe.send(True)
    seconds: list[float] = [pipe.recv() for pipe in pipes]
    return statistics.mean(seconds)


def _compute_when_told(pipe: Connection, work: list[int]) -> None:
    while pipe.recv():
        pipe.send(timed(lambda: [workloads.busy(iterations) for iterations in work])[0])


def plain_map(*, count: int, repeats: int) -> Metrics:
    """The built-in `map`, on one core."""
    seconds = []
    for _ in range(repeats):
        duration, total = timed(lambda: sum(map(workloads.noop, range(count))))
        expect(total == count * (count - 1) // 2, f"the sum {total!r} is wrong")
        seconds.append(duration)
    return {"seconds": statistics.median(seconds), "rate": count / statistics.median(seconds)}


OF_PYTHON: Mapping[str, Callable[..., Metrics]] = {
    function.__name__: function for function in (import_seconds, independent_processes, plain_map)
}


def measure_mpi(name: str, parameters: Mapping[str, Any]) -> Metrics:
    """Make a measurement on all ranks of COMM_WORLD; the first one's metrics count."""
    from mpi4py import MPI

    metrics = OF_MPI[name](MPI.COMM_WORLD, **parameters)
    MPI.COMM_WORLD.Barrier()
    return metrics


def is_first_rank() -> bool:
    """Whether this process is the one to report."""
    from mpi4py import MPI

    return MPI.COMM_WORLD.Get_rank() == 0
