"""SCOOP's semantics on real MPI, with as many ranks as the tests were started on."""

from __future__ import annotations

import operator
import threading
import time
from concurrent.futures import TimeoutError
from typing import Any

import pytest

from scoop_mpi import futures, shared
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
