"""Pool on real ranks: what programs written for `multiprocessing.Pool` do with one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.launch import launch, on_ranks

WriteProgram = Callable[..., Path]

LIMIT = 90.0

PROGRAM = """
import multiprocessing, threading, time
import scoop_mpi
from scoop_mpi import Pool

def square(x):
    return x * x

def fail(x):
    if x == 3:
        raise ValueError(x)
    return x

def doze(seconds):
    time.sleep(seconds)
    return seconds

STATE = []

def prepare(value):
    STATE.append(value)

def state(_):
    return tuple(STATE)

class Sampler:
    # As emcee's and DEAP's: it has a pool, and its methods are mapped.
    def __init__(self, pool):
        self.pool = pool

    def value(self, x):
        return x + 1

    def sum_of(self, count):
        return sum(self.pool.map(square, range(count)))

    def run(self):
        return list(self.pool.map(self.value, range(5)))

def main():
    with Pool() as pool:
        assert pool.apply(square, (3,)) == 9
        assert pool.apply(int, ("11",), {"base": 2}) == 3
        assert pool.map(square, range(100), 7) == [x * x for x in range(100)]
        assert pool.map(square, []) == []
        assert pool.starmap(pow, [(2, 3), (3, 2)]) == [8, 9]
        assert list(pool.imap(square, range(30))) == [x * x for x in range(30)]
        assert sorted(pool.imap_unordered(square, range(30))) == [x * x for x in range(30)]
        assert next(pool.imap(square, iter([4]))) == 16
        result = pool.map_async(square, range(50))
        assert result.get(60) == [x * x for x in range(50)]
        assert result.ready() and result.successful()
        assert pool.starmap_async(pow, [(2, 3)]).get() == [8]
        assert pool.map_async(square, []).get() == []

        told = []
        rung = threading.Event()
        pool.map_async(square, [1, 2], callback=lambda v: (told.append(v), rung.set()))
        assert rung.wait(60) and told == [[1, 4]]
        rung.clear()
        pool.apply_async(fail, (3,), error_callback=lambda e: (told.append(e), rung.set()))
        assert rung.wait(60) and told[1].args == (3,)

        failed = pool.map_async(fail, range(6))
        failed.wait(60)
        assert failed.ready() and not failed.successful()
        for get in (failed.get, lambda: pool.map(fail, range(6)), lambda: pool.apply(fail, (3,))):
            try:
                get()
            except ValueError as error:
                assert error.args == (3,)
            else:
                raise AssertionError
        slow = pool.apply_async(doze, (1.0,))
        assert not slow.ready() or not scoop_mpi.IS_RUNNING
        try:
            slow.get(timeout=0.01)
        except multiprocessing.TimeoutError:
            pass
        else:
            assert not scoop_mpi.IS_RUNNING
        assert slow.get() == 1.0

        sampler = Sampler(pool)
        assert sampler.run() == [1, 2, 3, 4, 5]
        assert pool.map(sampler.sum_of, range(5)) == [0, 0, 1, 5, 14]  # there it has one, too
        assert pool.is_master() and pool.wait() is None
        assert pool.size == max(scoop_mpi.SIZE - 1, 1)

    for use in (lambda: pool.map(square, [1]), lambda: pool.apply_async(square, (1,))):
        try:
            use()
        except ValueError as error:
            assert "not running" in str(error)
        else:
            raise AssertionError
    pool = Pool(2, prepare, ("ready",))
    assert set(pool.map(state, range(20))) == {("ready",)}
    late = pool.apply_async(doze, (0.2,))
    try:
        pool.join()
    except ValueError as error:
        assert "still running" in str(error)
    pool.close()
    pool.join()
    assert late.ready() and late.get() == 0.2
    print("right")

if __name__ == "__main__":
    main()
"""


@on_ranks(1, 2, 4)
def test_what_a_pool_does(ranks: int, write_program: WriteProgram) -> None:
    assert launch(write_program(PROGRAM), ranks=ranks, timeout=LIMIT).check().stdout == "right\n"


def test_without_a_job_it_makes_calls_one_after_the_other(write_program: WriteProgram) -> None:
    run = launch(write_program(PROGRAM), ranks=None, python=(), timeout=LIMIT).check()
    assert run.stdout == "right\n"
    assert "RuntimeWarning" in run.stderr
