"""What pools are compared with: mpi4py alone, processes that only compute, plain Python."""

from __future__ import annotations

import multiprocessing
import statistics
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import launcher, workloads
from benchmarks.launcher import Environment
from benchmarks.measurements import distribution, expect
from benchmarks.records import Metrics
from benchmarks.timing import seconds_per_iteration, timed
from scoop_mpi.wire import messages
from scoop_mpi.wire.messages import Call, Message, Returned
from scoop_mpi.wire.serializer import FunctionCodec

if TYPE_CHECKING:
    from mpi4py import MPI

    from scoop_mpi.transport.mpi import MPITransport

# ---------------------------------------------------------------- between two ranks of MPI


def ping_pong(comm: MPI.Comm, *, count: int) -> Metrics:
    """mpi4py's pickled send and receive, there and back, between the first rank and the last."""
    last = comm.Get_size() - 1
    seconds, answers = [], []
    comm.Barrier()
    if comm.Get_rank() == 0:
        clock = time.perf_counter
        for index in range(count + count // 10):
            begin = clock()
            comm.send(index, last)
            answer = comm.recv(source=last)
            seconds.append(clock() - begin)
            answers.append(answer)
        expect(answers == list(range(len(answers))), "not what was sent came back")
        return distribution(seconds[count // 10 :])
    if comm.Get_rank() == last:
        for _ in range(count + count // 10):
            comm.send(comm.recv(source=0), 0)
    return {}


def bare_messages(comm: MPI.Comm, *, count: int) -> Metrics:
    """The messages of a task's round trip as scoop_mpi sends and takes them: `Call`, `Returned`.

    Nothing is done with them, so no round trip of a task can be faster.
    """
    from scoop_mpi.transport.mpi import MPITransport

    transport = MPITransport()
    last = comm.Get_size() - 1
    function, _ = FunctionCodec().seal(workloads.process_id)
    trips = count + count // 10
    comm.Barrier()
    if comm.Get_rank() == 0:
        clock = time.perf_counter
        seconds = []
        for index in range(trips):
            begin = clock()
            transport.send(last, messages.encode(Call(0, 0, index, function, (index,))))
            answer = _receive(transport)
            seconds.append(clock() - begin)
            expect(
                answer == Returned(0, index, index, True),
                f"the message {answer} is not what was sent",
            )
        return distribution(seconds[count // 10 :])
    if comm.Get_rank() == last:
        for index in range(trips):
            _receive(transport)
            transport.send(0, messages.encode(Returned(0, index, index, True)))
    return {}


def _receive(transport: MPITransport) -> Message:
    while (received := transport.receive()) is None:
        transport.progress()
    return messages.decode(received[1])


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


def stream_arrays(comm: MPI.Comm, *, size: int, count: int, repeats: int) -> Metrics:
    """Arrays that all other ranks make and send to the first one, which receives them as they come.

    Args:
        comm: the ranks.
        size: of an array, in bytes.
        count: of arrays, of all ranks together.
        repeats: how often all is done.
    """
    from mpi4py import MPI

    senders = comm.Get_size() - 1
    each = count // senders
    rates = []
    for _ in range(repeats + 1):
        comm.Barrier()
        if comm.Get_rank() > 0:
            for _ in range(each):
                comm.Send(workloads.new_array(size), 0)
            continue
        begin = time.perf_counter()
        for _ in range(each * senders):
            array = np.empty(size, np.uint8)
            comm.Recv(array, MPI.ANY_SOURCE)
            expect(int(array[-1]) == 7, "an array arrived changed")
        rates.append(each * senders * size / (time.perf_counter() - begin))
    return {"rate": statistics.median(rates[1:])} if rates else {}


OF_MPI: Mapping[str, Callable[..., Metrics]] = {
    function.__name__: function
    for function in (ping_pong, bare_messages, send_arrays, stream_arrays)
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


def whole_jobs(*, ranks: int, tasks: int, repeats: int, limit: float) -> Metrics:
    """How long a small job takes from start to end, and one that only imports MPI, in turn.

    Args:
        ranks: of each job.
        tasks: of the small job.
        repeats: how often each is run.
        limit: seconds that a job may take.
    """
    environment = Environment.of(sys.executable)
    empty = environment.command(ranks, "-c", "from mpi4py import MPI")
    # The code is the whole program; it is imported on the workers, so it has a main guard.
    code = f"""if True:
        from scoop_mpi import futures
        if __name__ == "__main__":
            print(sum(futures.map(abs, range({tasks}))))
    """
    small = environment.command(ranks, "-m", "scoop_mpi", "-c", code)
    of_empty, of_small = [], []
    for _ in range(repeats):
        of_empty.append(timed(lambda: launcher.run(empty, limit))[0])
        seconds, written = timed(lambda: launcher.run(small, limit))
        expect(str(tasks * (tasks - 1) // 2) in written, f"the job wrote {written!r}")
        of_small.append(seconds)
    return {"seconds": statistics.median(of_small), "empty_seconds": statistics.median(of_empty)}


def independent_processes(
    *, processes: int, count: int, shortest: float, longest: float, repeats: int
) -> Metrics:
    """How fast several processes are that compute at the same time, and have nothing to say.

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
    efficiencies, rates = [], []
    for _ in range(repeats):
        before, together, after = [
            _seconds_of(at_once) for at_once in (pipes[:1], pipes, pipes[:1])
        ]
        efficiencies.append((before + after) / 2 / together)
        rates.append(processes * sum(work) / together)
    for pipe in pipes:
        pipe.send(False)
    for child in children:
        child.join()
    return {"efficiency": statistics.median(efficiencies), "rate": statistics.median(rates)}


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
    function.__name__: function
    for function in (import_seconds, whole_jobs, independent_processes, plain_map)
}


def measure_mpi(name: str, parameters: Mapping[str, Any]) -> Metrics:
    """Make a measurement on all ranks of COMM_WORLD; the first one's metrics count."""
    from mpi4py import MPI

    with aborting():
        metrics = OF_MPI[name](MPI.COMM_WORLD, **parameters)
        MPI.COMM_WORLD.Barrier()
    return metrics


@contextmanager
def aborting() -> Iterator[None]:
    """If this rank fails, end all: others may wait for it, and for ever."""
    from mpi4py import MPI

    try:
        yield
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        MPI.COMM_WORLD.Abort(1)
        raise


def mpi_name() -> str:
    """Return what the MPI library calls itself, and its version."""
    from mpi4py import MPI

    name, version = MPI.get_vendor()
    return f"{name} {'.'.join(map(str, version))}"


def is_first_rank() -> bool:
    """Whether this process is the one to report."""
    from mpi4py import MPI

    return MPI.COMM_WORLD.Get_rank() == 0
