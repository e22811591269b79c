"""SCOOP's semantics on real MPI, with as many ranks as the tests were started on."""

from __future__ import annotations

import itertools
import math
import operator
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, TimeoutError
from typing import Any, cast

import pytest

import scoop_mpi
from scoop_mpi import futures, shared
from scoop_mpi.transport.mpi import MPITransport
from tests.mpi.conftest import Job

pytestmark = pytest.mark.mpi


def square(x: int) -> int:
    return x * x


def compute(seconds: float) -> None:
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        sum(range(100))


def slow_square(x: int) -> int:
    compute(0.001 * (x % 4))
    return x * x


def fib(n: int) -> int:
    if n < 2:
        return n
    left, right = futures.submit(fib, n - 1), futures.submit(fib, n - 2)
    return int(left.result() + right.result())


def sum_of_tree(depth: int) -> int:
    if depth == 0:
        return 1
    return sum(futures.map(sum_of_tree, [depth - 1] * 3))


def chain(n: int) -> int:
    return 0 if n == 0 else 1 + futures.submit(chain, n - 1).result()


def fail_if_odd(x: int) -> int:
    compute(0.0005)
    if x % 2:
        raise ValueError(f"{x} is odd")
    return x


@pytest.mark.parametrize("n", [0, 1, 2, 10, 1000, 100_000])
def test_map(job: Job, n: int) -> None:
    def program() -> None:
        assert list(futures.map(square, range(n))) == [x * x for x in range(n)]
        assert list(futures.map(operator.add, range(n), range(n))) == list(range(0, 2 * n, 2))

    job(program)


def test_uneven_map(job: Job) -> None:
    def program() -> None:
        for _ in range(5):
            assert list(futures.map(slow_square, range(200))) == [x * x for x in range(200)]

    job(program)


def test_nested(job: Job) -> None:
    def program() -> None:
        assert fib(18) == 2584
        assert sum_of_tree(6) == 729
        assert list(futures.map(fib, range(14))) == [fib(n) for n in range(14)]

    job(program)


def test_many_submits(job: Job) -> None:
    def program() -> None:
        fs = [futures.submit(square, x) for x in range(20_000)]
        assert [f.result() for f in fs] == [x * x for x in range(20_000)]
        fs = [futures.submit(slow_square, x) for x in range(300)]
        assert {f.result() for f in futures.as_completed(fs)} == {x * x for x in range(300)}
        fs = [futures.submit(slow_square, x) for x in range(300)]
        assert futures.wait(fs).not_done == set()
        assert sum(f.result() for f in reversed(fs)) == sum(x * x for x in range(300))

    job(program)


def test_a_deep_chain(job: Job) -> None:
    assert job(lambda: chain(5000)) in (5000, None)


def test_polling(job: Job) -> None:
    def program() -> None:
        for x in range(300):
            future = futures.submit(square, x)
            while not future.done():
                pass
            assert future.result() == x * x

    job(program)


def test_exceptions(job: Job) -> None:
    def program() -> None:
        fs = [futures.submit(fail_if_odd, x) for x in range(100)]
        for x, future in enumerate(fs):
            assert (future.exception() is not None) == bool(x % 2)
        with pytest.raises(ValueError, match="51 is odd"):
            list(futures.map(fail_if_odd, [*range(0, 50, 2), 51, *range(52, 60)]))

    job(program)


def test_reductions(job: Job) -> None:
    def program() -> None:
        words = [str(x) for x in range(5000)]
        assert futures.mapReduce(str, operator.add, words) == "".join(words)
        assert futures.mapScan(square, operator.add, range(100))[-1] == 328350

    job(program)


def test_timeouts(job: Job) -> None:
    def program() -> None:
        future = futures.submit(compute, 0.5)
        with pytest.raises(TimeoutError):
            future.result(timeout=0.01)
        future.result()
        with pytest.raises(TimeoutError):
            list(futures.map(compute, [0.1] * 40, timeout=0.2))

    job(program)


def read_both(x: int) -> Any:
    return shared.getConst("number", timeout=0), shared.getConst("function", timeout=0)(x)


def test_constants(job: Job) -> None:
    def program() -> None:
        shared.setConst(number=5, function=lambda x: 2 * x)
        assert list(futures.map(read_both, range(50))) == [(5, 2 * x) for x in range(50)]
        with pytest.raises(TypeError):
            shared.setConst(number=6)

    job(program)


def test_threads_of_the_program(job: Job) -> None:
    """Threads submit and wait, while the main thread blocks outside of scoop_mpi, or waits too."""

    def program() -> None:
        sums = []

        def work() -> None:
            sums.append(sum(futures.map(slow_square, range(50))))
            fs = [futures.submit(fib, 8) for _ in range(20)]
            sums.append(sum(f.result() for f in fs))
            sums.append(
                sum(
                    f.result()
                    for f in futures.as_completed(
                        [futures.submit(slow_square, x) for x in range(20)]
                    )
                )
            )

        for main_takes_part in (False, True):
            sums.clear()
            threads = [threading.Thread(target=work) for _ in range(4)]
            for thread in threads:
                thread.start()
            if main_takes_part:
                assert list(futures.map(fib, range(15))) == [fib(n) for n in range(15)]
            for thread in threads:
                thread.join()
            assert sorted(sums) == sorted([40425, 420, 2470] * 4)

    job(program)


def test_a_future_of_another_thread(job: Job) -> None:
    def program() -> None:
        fs = [futures.submit(slow_square, x) for x in range(50)]
        results: list[list[int]] = []
        thread = threading.Thread(target=lambda: results.append([f.result() for f in fs]))
        thread.start()
        assert [f.result() for f in fs] == [x * x for x in range(50)]
        thread.join()
        assert results == [[x * x for x in range(50)]]

    job(program)


def map_with_a_buffer(function: Callable[..., Any], items: Any) -> Iterator[Any]:
    return futures.map(function, items, buffersize=8)


def results_as_completed(function: Callable[..., Any], items: Any) -> Iterator[Any]:
    done = futures.as_completed([futures.submit(function, item) for item in items])
    return (future.result() for future in done)


ITERATORS = [futures.map, map_with_a_buffer, futures.map_as_completed, results_as_completed]


def in_a_thread(function: Callable[[], Any]) -> Any:
    """Call `function` in a thread of its own; return what it returned."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(function).result()


@pytest.mark.parametrize("make", ITERATORS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("function", [square, slow_square])
def test_an_iterator_goes_from_thread_to_thread(
    job: Job, make: Callable[..., Iterator[int]], function: Callable[[int], int]
) -> None:
    expected = [x * x for x in range(40)]

    def made_here() -> Iterator[int]:
        return make(function, range(40))

    def made_there() -> Iterator[int]:
        return cast("Iterator[int]", in_a_thread(made_here))

    def program() -> None:
        results = made_here()
        assert sorted(in_a_thread(lambda: list(results))) == expected
        assert sorted(made_there()) == expected
        for results_of_all in (made_here(), made_there()):
            assert sorted(taken_by_many_threads(results_of_all, 40)) == expected
            assert list(results_of_all) == []

    job(program)


def taken_by_many_threads(results: Iterator[int], count: int) -> list[int]:
    """Take `count` results, some here, some in one thread, some in another."""
    taken = [next(results)]
    while len(taken) < count:
        taken.append(in_a_thread(lambda: next(results)))
        taken += itertools.islice(results, 2)
        taken += in_a_thread(lambda: list(itertools.islice(results, 3)))
    return taken


class Store:
    """What the main program leaves to a task."""

    results: Iterator[int]


def go_on_here(rank: int, count: int) -> list[int] | None:
    if scoop_mpi.worker.rank != rank:
        return None
    return list(itertools.islice(Store.results, count))


@pytest.mark.parametrize("make", ITERATORS, ids=lambda make: make.__name__)
def test_an_iterator_goes_from_the_program_to_tasks_and_back(
    job: Job, make: Callable[..., Iterator[int]]
) -> None:
    def program() -> None:
        Store.results = make(slow_square, range(60))
        taken = [next(Store.results)]
        while len(taken) < 60:
            taken += futures.submit(go_on_here, 0, 5).result() or []
            taken += futures.submit(lambda: go_on_here(0, 4) or []).result(timeout=10)
            taken += itertools.islice(Store.results, 2)
        assert sorted(taken) == [x * x for x in range(60)]

    job(program)


def where(seconds: float) -> int:
    compute(seconds)
    return int(scoop_mpi.worker.rank)


def submit_and_wait(_: int = 0) -> int:
    return int(futures.submit(where, 0.01).result())


def map_and_wait(_: int = 0) -> int:
    (rank,) = futures.map(where, [0.01])
    return int(rank)


def complete_one(_: int = 0) -> int:
    (future,) = futures.as_completed([futures.submit(where, 0.01)])
    return int(future.result())


def by_one_thread(wait: Callable[[int], int]) -> list[int]:
    return list(in_a_thread(lambda: [wait(x) for x in range(40)]))


def by_threads_of_their_own(wait: Callable[[int], int]) -> list[int]:
    ranks: list[int] = []
    threads = [threading.Thread(target=lambda: ranks.append(wait(0))) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ranks


def by_a_pool_of_threads(wait: Callable[[int], int]) -> list[int]:
    with ThreadPoolExecutor(8) as executor:
        return list(executor.map(wait, range(40)))


def by_threads_of_a_task(wait: Callable[[int], int]) -> list[int]:
    return list(futures.submit(by_threads_of_their_own, wait).result())


@pytest.mark.parametrize("wait", [submit_and_wait, map_and_wait, complete_one])
@pytest.mark.parametrize(
    "run",
    [by_one_thread, by_threads_of_their_own, by_a_pool_of_threads, by_threads_of_a_task],
)
def test_other_ranks_get_their_share_of_what_threads_wait_for(
    job: Job, transport: MPITransport, run: Callable[..., list[int]], wait: Callable[[int], int]
) -> None:
    def program() -> None:
        ranks = Counter(run(wait))
        assert sum(ranks.values()) == 40
        if transport.size > 1:
            assert ranks[0] < 40
            assert len(ranks) > 1 or run is by_one_thread

    job(program)


def test_threads_get_there_while_all_ranks_are_busy(job: Job) -> None:
    def program() -> None:
        busy = [futures.submit(compute, 0.5) for _ in range(8)]
        assert len(by_threads_of_their_own(submit_and_wait)) == 40
        assert len(futures.wait(busy).done) == 8

    job(program)


def test_threads_of_a_single_rank_need_not_take_turns(job: Job, transport: MPITransport) -> None:
    def program() -> None:
        if transport.size == 1:
            barrier = threading.Barrier(20, timeout=30)
            with ThreadPoolExecutor(20) as executor:
                tasks = [lambda: futures.submit(barrier.wait).result()] * 20
                assert set(executor.map(lambda task: task(), tasks)) == set(range(20))

    job(program)


def test_limits_of_threads(job: Job) -> None:
    def wait() -> None:
        for timeout in (None, math.inf, 1e10, sys.float_info.max, 10**400):
            assert futures.submit(slow_square, 3).result(timeout) == 9
            assert list(futures.map(slow_square, range(5), timeout=timeout))[-1] == 16
            fs = [futures.submit(slow_square, x) for x in range(5)]
            assert set(futures.as_completed(fs, timeout)) == set(fs)
            fs = [futures.submit(slow_square, x) for x in range(5)]
            assert not futures.wait(fs, timeout).not_done
        for timeout in (0, -1, -math.inf):
            with pytest.raises(TimeoutError):
                futures.submit(compute, 0.02).result(timeout)
            assert shared.getConst("nowhere", timeout) is None
        with pytest.raises(ValueError, match="not nan"):
            futures.submit(square, 3).result(math.nan)

    job(lambda: in_a_thread(wait))
