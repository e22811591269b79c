"""What is measured of a pool. Each function returns its metrics: seconds, bytes, counts.

Each checks that the results are right, and those about travelling that the tasks have travelled.
"""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks import workloads
from benchmarks.peers import Pool
from benchmarks.records import Metrics
from benchmarks.stats import greedy_makespan, metg, percentiles
from benchmarks.timing import long_enough, seconds_per_iteration, timed

Measurement = Callable[..., Metrics]


class WrongResult(Exception):
    """A pool's results are not right, so its times mean nothing."""


def expect(is_right: bool, what: str) -> None:
    """Raise unless a result is right."""
    if not is_right:
        raise WrongResult(what)


def nested(pool: Pool, *, n: int, repeats: int) -> Metrics:
    """Fibonacci numbers, recursively: a task for each call, and the plain calls, in turn."""
    from benchmarks import nested as of_scoop_mpi

    return _nested(of_scoop_mpi.fib, n, repeats)


def nested_scoop(pool: Pool, *, n: int, repeats: int) -> Metrics:
    """The same with SCOOP 0.7."""
    from benchmarks import nested_scoop as of_scoop

    return _nested(of_scoop.fib, n, repeats)


def _nested(fib: Callable[[int], int], n: int, repeats: int) -> Metrics:
    calls = 2 * workloads.fib(n + 1) - 1
    fib(n // 2)
    of_tasks, of_calls = [], []
    for _ in range(repeats):
        seconds, value = timed(lambda: fib(n))
        of_tasks.append(seconds / (calls - 1))  # the outermost is no task
        seconds, plain = timed(lambda: workloads.fib(n))
        of_calls.append(seconds / calls)
        expect(value == plain, f"fib({n}) is {plain}, not {value}")
    return {
        "task_seconds": statistics.median(of_tasks),
        "call_seconds": statistics.median(of_calls),
        "tasks": calls - 1,
    }


def poll_round_trip(pool: Pool, *, count: int) -> Metrics:
    """Submit one task and ask `done` until it is, again and again. All run elsewhere."""
    here = os.getpid()
    submit, done, result, process_id = pool.submit, pool.done, pool.result, workloads.process_id
    clock = time.perf_counter
    seconds = []
    travelled = 0
    for index in range(count + count // 10):
        begin = clock()
        future = submit(process_id, index)
        while not done(future):
            pass
        seconds.append(clock() - begin)
        travelled += result(future) != here
    # A future that is polled for long runs where it is polled: not what is measured here.
    expect(travelled >= 0.99 * len(seconds), f"only {travelled} of {len(seconds)} tasks travelled")
    return distribution(seconds[count // 10 :])


def submit_result(pool: Pool, *, count: int) -> Metrics:
    """Submit one task and wait for its result, again and again."""
    submit, result, noop = pool.submit, pool.result, workloads.noop
    for index in range(count // 10):
        result(submit(noop, index))
    clock = time.perf_counter
    seconds, values = [], []
    for index in range(count):
        begin = clock()
        value = result(submit(noop, index))
        seconds.append(clock() - begin)
        values.append(value)
    expect(values == list(range(count)), "the results are not the arguments")
    return {"mean": statistics.fmean(seconds)} | distribution(seconds)


def distribution(seconds: list[float]) -> Metrics:
    """Return median, 99th percentile and worst, and all percentiles."""
    ranked = percentiles(seconds)
    return {
        "p50": ranked[50],
        "p99": ranked[99],
        "worst": ranked[100],
        "percentiles": list(ranked),
    }


def map_many(pool: Pool, *, count: int, repeats: int) -> Metrics:
    """Sum what `map` gives of many calls that do nothing."""
    sum(pool.map(workloads.noop, range(1000)))
    seconds = []
    for _ in range(repeats):
        gc.collect()
        duration, total = timed(lambda: sum(pool.map(workloads.noop, range(count))))
        expect(total == count * (count - 1) // 2, f"the sum {total!r} is wrong")
        seconds.append(duration)
    return {"seconds": statistics.median(seconds), "rate": count / statistics.median(seconds)}


def submit_many(pool: Pool, *, count: int, repeats: int) -> Metrics:
    """Submit many calls that do nothing, then take every result."""
    submit, result, noop = pool.submit, pool.result, workloads.noop

    def run() -> int:
        futures = [submit(noop, index) for index in range(count)]
        return sum([result(future) for future in futures])

    for index in range(100):
        result(submit(noop, index))
    seconds = []
    for _ in range(repeats):
        gc.collect()
        duration, total = timed(run)
        expect(total == count * (count - 1) // 2, f"the sum {total!r} is wrong")
        seconds.append(duration)
    return {"seconds": statistics.median(seconds), "rate": count / statistics.median(seconds)}


def bandwidth(pool: Pool, *, sizes: list[int], repeats: int) -> Metrics:
    """Send arrays, one at a time, to another process, which answers with a few bytes."""
    here = os.getpid()
    rates: list[float] = []
    for size in sizes:
        array = np.full(size, 7, np.uint8)
        seconds = []
        for _ in range(repeats + 1):
            begin = time.perf_counter()
            future = pool.submit(workloads.received, array)
            # Whoever waits for the result may run the task; who asks whether it is there, doesn't.
            # Other pools have threads of their own, which a loop that asks would hold up.
            while pool.takes_part and not pool.done(future):
                pass
            answer = pool.result(future)
            duration = time.perf_counter() - begin
            expect(answer[:2] == (size, 7), f"the array of {size} bytes arrived as {answer}")
            if answer[2] != here:  # a future that is polled for very long runs here in the end
                seconds.append(duration)
        expect(len(seconds) > repeats // 2, f"most arrays of {size} bytes did not travel")
        rates.append(size / statistics.median(seconds[1:] or seconds))
    return {"sizes": [float(size) for size in sizes], "rates": rates, "rate": rates[-1]}


def granularity(pool: Pool, *, lengths: list[float], seconds: float, most: int) -> Metrics:
    """Map tasks of each length, and find METG(50 %).

    Args:
        pool: the pool.
        lengths: of the tasks' own work, in seconds, shortest first.
        seconds: how long each run should take, about.
        most: the number of tasks that no run exceeds.
    """
    rates, granularities, efficiencies = [], [], []
    list(pool.map(workloads.busy, [1] * 100))
    for length in lengths:
        per_iteration = seconds_per_iteration()
        iterations = max(1, round(length / per_iteration))
        right = workloads.busy(iterations)

        def run(count: int, iterations: int = iterations, right: int = right) -> None:
            values = list(pool.map(workloads.busy, [iterations] * count))
            expect(values.count(right) == count, f"not all of {count} results are right")

        count, duration = long_enough(run, seconds, most)
        rates.append(count / duration)
        granularities.append(duration * pool.workers / count)
        efficiencies.append(iterations * per_iteration / granularities[-1])
    return {
        "lengths": list(lengths),
        "rates": rates,
        "granularities": granularities,
        "efficiencies": efficiencies,
        "metg": metg(granularities, efficiencies, 0.5),
    }


def uneven(
    pool: Pool, *, count: int, shortest: float, longest: float, serial_count: int, repeats: int
) -> Metrics:
    """Tasks that compute for different times: one after the other here, by map, and by submit.

    The serial time is measured before and after, since other jobs slow the machine down at times.
    Efficiency is by that time. Occupancy is by what the tasks themselves have taken: the share of
    the cores' time in which a worker was within a task. The rate is that of the steps in them all.

    Args:
        pool: the pool; each worker is taken to have a core.
        count: how many tasks.
        shortest: the length of the shortest task, in seconds.
        longest: that of the longest.
        serial_count: how many of the tasks are run serially; the time of all is inferred.
        repeats: how often everything is measured; the median counts.
    """
    cores = pool.workers
    per_iteration = seconds_per_iteration()
    work = [
        round(length / per_iteration)
        for length in workloads.uneven_lengths(count, shortest, longest)
    ]
    task = workloads.timed_busy
    list(pool.map(task, [1000] * 4 * pool.workers))
    sample = work[:serial_count]

    def serially() -> tuple[float, list[tuple[int, float]]]:
        return timed(lambda: [task(iterations) for iterations in sample])

    def submitted() -> list[tuple[int, float]]:
        futures = [pool.submit(task, iterations) for iterations in work]
        return [pool.result(future) for future in futures]

    ways = {"map": lambda: list(pool.map(task, work)), "submit": submitted}
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(repeats):
        before, right = serially()
        done = {way: timed(run) for way, run in ways.items()}
        after, _ = serially()
        serial = (before + after) / 2 * sum(work) / sum(sample)
        found["serial_seconds"].append(serial)
        states = {way: [state for state, _ in results] for way, (_, results) in done.items()}
        expect(states["map"] == states["submit"], "the results by map and by submit differ")
        expect(
            states["map"][: len(right)] == [state for state, _ in right],
            "the serial results differ",
        )
        for way, (seconds, results) in done.items():
            found[f"{way}_seconds"].append(seconds)
            found[f"{way}_efficiency"].append(serial / (cores * seconds))
            found[f"{way}_rate"].append(sum(work) / seconds)
            found[f"{way}_occupancy"].append(sum(took for _, took in results) / (cores * seconds))
    return {
        **{name: statistics.median(values) for name, values in found.items()},
        "greedy_efficiency": sum(work) / (cores * greedy_makespan(work, cores)),
    }


def sleeping(
    pool: Pool, *, count: int, shortest: float, longest: float, each: float, repeats: int
) -> Metrics:
    """Tasks that sleep for different times, by map and by submit; and one task for each worker."""
    lengths = workloads.uneven_lengths(count, shortest, longest)
    total = sum(lengths)
    slept = workloads.slept

    def submitted() -> list[int]:
        futures = [pool.submit(slept, length) for length in lengths]
        return [pool.result(future) for future in futures]

    list(pool.map(slept, [0.01] * 4 * pool.workers))
    by_map, by_submit, one_each = [], [], []
    for _ in range(repeats):
        by_map.append(timed(lambda: list(pool.map(slept, lengths)))[0])
        by_submit.append(timed(submitted)[0])
        one_each.append(timed(lambda: list(pool.map(slept, [each] * pool.workers)))[0])
    return {
        "map_efficiency": total / (pool.workers * statistics.median(by_map)),
        "submit_efficiency": total / (pool.workers * statistics.median(by_submit)),
        "greedy_efficiency": total / (pool.workers * greedy_makespan(lengths, pool.workers)),
        "one_each_efficiency": each / statistics.median(one_each),
    }


def idle_share(pool: Pool, *, settle: float, seconds: float) -> Metrics:
    """What share of a core each worker takes while the program sleeps and gives it nothing to do.

    All workers have to be on this host.

    Args:
        pool: the pool.
        settle: seconds that the workers get to fall asleep.
        seconds: for how long they are watched.
    """
    here = os.getpid()
    pids: set[int] = set()
    while len(pids - {here}) < pool.workers - 1:
        pids.update(pool.map(workloads.slept, [0.02] * 4 * pool.workers))
    workers = [psutil.Process(pid) for pid in pids - {here}]
    time.sleep(settle)
    before = [_cpu_seconds(worker) for worker in workers]
    begin = time.perf_counter()
    time.sleep(seconds)
    watched = time.perf_counter() - begin
    shares = [
        (_cpu_seconds(worker) - used) / watched
        for worker, used in zip(workers, before, strict=True)
    ]
    return {"mean": statistics.mean(shares), "worst": max(shares)}


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def peak_memory(pool: Pool, *, count: int) -> Metrics:
    """How much memory the root takes at the most, for each item of a long map that is summed."""
    sum(pool.map(workloads.noop, range(1000)))
    before = _memory("VmRSS")
    total = sum(pool.map(workloads.noop, range(count)))
    expect(total == count * (count - 1) // 2, f"the sum {total!r} is wrong")
    return {"bytes_per_item": max(_memory("VmHWM") - before, 0.0) / count}


def _memory(name: str) -> float:
    """Return what /proc says of this process's memory, in bytes.

    Not ru_maxrss, which also counts the process that started this one.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return float(line.split()[1]) * 1024
    raise LookupError(f"/proc/self/status does not tell {name}")


def stream(pool: Pool, *, size: int, count: int, repeats: int, probes: int) -> Metrics:
    """Large results that stream back to the root, and how fast it answers others meanwhile.

    For the second, a worker sets constants, each of which takes a round trip through rank 0: first
    while nothing else happens, then while the root takes in what all others send.

    Args:
        pool: scoop_mpi's.
        size: of a result, in bytes.
        count: of results.
        repeats: how often they are streamed for the bandwidth, beside once to warm up.
        probes: how many constants are set, in quiet and meanwhile.
    """
    quiet = percentiles(pool.result(_prober(pool, "quiet", probes)))
    rates = [_stream_once(size, count) for _ in range(repeats + 1)]
    prober = _prober(pool, "busy", probes)
    while not pool.done(prober):
        _stream_once(size, count)
    busy = percentiles(pool.result(prober))
    return {
        "rate": statistics.median(rates[1:]),
        "quiet_p50": quiet[50],
        "quiet_worst": quiet[100],
        "busy_p50": busy[50],
        "busy_worst": busy[100],
    }


def _stream_once(size: int, count: int) -> float:
    """Return the bytes a second at which results come from other ranks: the root makes some too."""
    from scoop_mpi import futures

    here = os.getpid()
    moved = 0
    begin = time.perf_counter()
    for pid, array in futures.map_as_completed(workloads.new_array_from, [size] * count):
        expect(array.nbytes == size and int(array[-1]) == 7, "a result arrived changed")
        moved += array.nbytes * (pid != here)
    expect(moved > 0, "no result came from another rank")
    return moved / (time.perf_counter() - begin)


def _prober(pool: Pool, prefix: str, probes: int) -> Any:
    """Have a rank set constants; return the future once another rank has got it."""
    from benchmarks.nested import seconds_to_set_constants

    future = pool.submit(seconds_to_set_constants, prefix, probes)
    while not pool.done(future) and not future.running():
        pass
    return future


OF_POOLS: Mapping[str, Measurement] = {
    function.__name__: function
    for function in (
        nested,
        nested_scoop,
        poll_round_trip,
        submit_result,
        map_many,
        submit_many,
        bandwidth,
        granularity,
        uneven,
        sleeping,
        idle_share,
        peak_memory,
        stream,
    )
}


def measure(pool: Pool, name: str, parameters: Mapping[str, Any]) -> Metrics:
    """Make a measurement of a pool.

    Raises:
        KeyError: there is none of this name.
    """
    return OF_POOLS[name](pool, **parameters)
