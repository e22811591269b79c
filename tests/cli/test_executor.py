"""MPIPoolExecutor on real ranks: what programs written for `concurrent.futures` do with one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.launch import Run, launch, on_ranks

WriteProgram = Callable[..., Path]

LIMIT = 90.0

# What the programs below have in common.
HEAD = """
import asyncio, concurrent.futures, os, sys, threading, time
from scoop_mpi import SIZE, MPIPoolExecutor, futures, worker
import scoop_mpi

def square(x):
    return x * x

def rank_of(_):
    return scoop_mpi.worker[0]

def fail(x):
    raise ValueError(x)

def doze(seconds):
    time.sleep(seconds)
    return seconds

class Thing:
    def __init__(self, number):
        self.number = number

def number_of(thing, *, plus=0):
    return thing.number + plus
"""


def run_program(write_program: WriteProgram, text: str, ranks: int, *options: str) -> Run:
    """Run a program that begins with `HEAD`."""
    lines = [line.removeprefix("        ") for line in text.splitlines()]
    return launch(
        *options, write_program(HEAD + "\n".join(lines)), ranks=ranks, timeout=LIMIT
    ).check()


@on_ranks(1, 2, 4)
def test_what_concurrent_futures_does(ranks: int, write_program: WriteProgram) -> None:
    text = """
        if __name__ == "__main__":
            with MPIPoolExecutor() as executor:
                assert isinstance(executor, concurrent.futures.Executor)
                future = executor.submit(square, 7)
                assert isinstance(future, concurrent.futures.Future)
                assert future.result() == 49 and future.done() and not future.running()
                assert executor.submit(number_of, Thing(3), plus=2).result(30) == 5
                assert executor.submit(pow, 2, exp=5).result() == 32
                many = [executor.submit(square, x) for x in range(2000)]
                assert [each.result() for each in many] == [x * x for x in range(2000)]
                mixed = {executor.submit(number_of, Thing(x)): x for x in range(200)}
                for each in concurrent.futures.as_completed(mixed):
                    assert each.result() == mixed[each]
                done, not_done = concurrent.futures.wait(mixed)
                assert len(done) == 200 and not not_done
                assert list(executor.map(square, range(100))) == [x * x for x in range(100)]
                assert list(executor.map(pow, [2, 3], [3, 2], chunksize=10)) == [8, 9]
                assert sorted(executor.map(square, range(50), unordered=True)) == [
                    x * x for x in range(50)
                ]
                assert list(executor.starmap(pow, [(2, 3), (3, 2)])) == [8, 9]
                assert list(executor.map(square, range(40), buffersize=3)) == [
                    x * x for x in range(40)
                ]
                error = executor.submit(fail, 5).exception()
                assert isinstance(error, ValueError) and error.args == (5,), error
                assert executor.num_workers == max(SIZE - 1, 1) == executor._max_workers
                if SIZE > 1:  # the root only drives
                    told = [executor.submit(rank_of, x) for x in range(50)]
                    assert 0 not in {each.result() for each in told}
            for call in (lambda: executor.submit(square, 1), lambda: executor.map(square, [1])):
                try:
                    call()
                except RuntimeError as error:
                    assert "after shutdown" in str(error)
                else:
                    raise AssertionError
            print("right")
    """
    assert run_program(write_program, text, ranks).stdout == "right\n"


@on_ranks(1, 2, 3)
def test_callbacks_run_while_the_main_thread_sleeps_in_a_lock(
    ranks: int, write_program: WriteProgram
) -> None:
    text = """
        if __name__ == "__main__":
            executor = MPIPoolExecutor()
            for number in range(100):
                rung = threading.Event()
                executor.submit(square, number).add_done_callback(lambda _: rung.set())
                assert rung.wait(30), number
            lock = threading.Lock()
            left = [3]
            lock.acquire()

            def go_on(future):  # as joblib does: each call that ends submits another
                left[0] -= 1
                if left[0]:
                    executor.submit(doze, 0.01).add_done_callback(go_on)
                else:
                    lock.release()

            executor.submit(doze, 0.01).add_done_callback(go_on)
            assert lock.acquire(timeout=30)

            def leave(future):
                sys.exit("a callback's")

            executor.submit(square, 1).add_done_callback(leave)  # ends nobody
            assert executor.submit(square, 2).result() == 4
            executor.shutdown()
            print("right")
    """
    run = run_program(write_program, text, ranks)
    assert run.stdout == "right\n"
    assert "a callback's" in run.stderr


@on_ranks(1, 2, 4)
def test_asyncio_waits_for_it(ranks: int, write_program: WriteProgram) -> None:
    text = """
        async def main():
            loop = asyncio.get_running_loop()
            with MPIPoolExecutor() as executor:
                ticks = []

                async def tick():
                    while True:
                        ticks.append(1)
                        await asyncio.sleep(0.001)

                ticking = asyncio.create_task(tick())
                found = await asyncio.gather(
                    *(loop.run_in_executor(executor, square, x) for x in range(100))
                )
                assert found == [x * x for x in range(100)]
                assert await asyncio.wrap_future(executor.submit(doze, 0.2)) == 0.2
                assert len(ticks) > 5, ticks  # the loop went on meanwhile
                try:
                    await loop.run_in_executor(executor, fail, 3)
                except ValueError as error:
                    assert error.args == (3,)
                else:
                    raise AssertionError
                ticking.cancel()

        if __name__ == "__main__":
            asyncio.run(main())
            print("right")
    """
    assert run_program(write_program, text, ranks).stdout == "right\n"


@on_ranks(1, 3)
def test_cancelling_and_shutting_down(ranks: int, write_program: WriteProgram) -> None:
    text = """
        if __name__ == "__main__":
            executor = MPIPoolExecutor()
            first = executor.submit(doze, 0.1)
            assert first.result() == 0.1 and not first.cancel() and not first.cancelled()
            others = [executor.submit(doze, 0.2) for _ in range(200)]
            told = []
            others[-1].add_done_callback(told.append)
            assert others[-1].cancel() and others[-1].cancelled() and told == [others[-1]]
            done, _ = concurrent.futures.wait([others[-1]], timeout=30)
            assert done == {others[-1]}
            executor.shutdown(cancel_futures=True)
            assert all(each.done() for each in others)
            cancelled = sum(each.cancelled() for each in others)
            assert cancelled > 100, cancelled
            executor.shutdown()  # again is no harm

            executor = MPIPoolExecutor()
            late = executor.submit(doze, 0.3)
            executor.shutdown(wait=False)
            assert not late.done()
            assert late.result(30) == 0.3
            with MPIPoolExecutor() as executor:
                slow = executor.submit(doze, 3)
                try:
                    slow.result(timeout=0.1)
                except concurrent.futures.TimeoutError:
                    print("in time")
                assert slow.result() == 3
                try:
                    list(executor.map(doze, [3.0, 3.0], timeout=0.5))
                except concurrent.futures.TimeoutError:
                    print("in time, too")
    """
    assert run_program(write_program, text, ranks).stdout == "in time\nin time, too\n"


@on_ranks(1, 2, 3)
def test_what_cannot_travel_spoils_itself_alone(ranks: int, write_program: WriteProgram) -> None:
    text = """
        class Stuck:
            def __reduce__(self):
                raise RuntimeError("stuck")

        def make_lock(_):
            return threading.Lock()

        def locks():
            lock = threading.Lock()
            return lambda x: lock.locked() or x

        if __name__ == "__main__":
            with MPIPoolExecutor() as executor:
                calls = [
                    executor.submit(number_of, Stuck()),
                    executor.submit(locks(), 1),
                    executor.submit(make_lock, 1),
                    executor.submit(square, 3),
                ]
                failures = [type(call.exception()).__name__ for call in calls]
                if SIZE > 1:
                    assert failures == ["SerializationError"] * 3 + ["NoneType"], failures
                assert calls[3].result() == 9
            try:
                executor.submit(3)
            except TypeError as error:
                assert "callable" in str(error)
            print("right")
    """
    assert run_program(write_program, text, ranks).stdout == "right\n"


@on_ranks(1, 2, 4)
def test_executors_within_tasks_and_several_at_a_time(
    ranks: int, write_program: WriteProgram
) -> None:
    text = """
        def nested(depth):
            if not depth:
                return 1
            with MPIPoolExecutor() as executor:
                return sum(executor.map(nested, [depth - 1] * 2))

        def submitted(depth):
            if not depth:
                return 1
            with MPIPoolExecutor() as executor:
                calls = [executor.submit(submitted, depth - 1) for _ in range(2)]
                return sum(call.result() for call in calls)

        def with_futures(count):
            return sum(futures.map(square, range(count)))

        if __name__ == "__main__":
            first, second = MPIPoolExecutor(), MPIPoolExecutor()
            calls = [first.submit(nested, 4), second.submit(submitted, 3)]
            calls.append(first.submit(with_futures, 9))
            assert [call.result() for call in calls] == [16, 8, 204]
            first.shutdown()
            assert second.submit(square, 5).result() == 25
            assert sum(futures.map(square, range(9))) == 204

            def from_thread():
                assert list(second.map(square, range(50))) == [x * x for x in range(50)]
                assert second.submit(square, 4).result() == 16

            threads = [threading.Thread(target=from_thread) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            second.shutdown()
            print("right")
    """
    assert run_program(write_program, text, ranks).stdout == "right\n"


@on_ranks(1, 2, 4)
def test_an_initializer_runs_once_on_each_rank(ranks: int, write_program: WriteProgram) -> None:
    text = """
        STATE = []

        def prepare(number, *rest):
            STATE.append(number)

        def state(_):
            return scoop_mpi.worker[0], tuple(STATE)

        def refuse():
            raise OSError("no licence")

        if __name__ == "__main__":
            with MPIPoolExecutor(initializer=prepare, initargs=(7,)) as executor:
                found = {call.result() for call in [executor.submit(state, x) for x in range(200)]}
                assert {numbers for _, numbers in found} == {(7,)}, found
                found = set(executor.map(state, range(200)))
                assert {numbers for _, numbers in found} == {(7,)}, found
            with MPIPoolExecutor(initializer=prepare, initargs=[8, 9]) as executor:
                for _, numbers in executor.map(state, range(50)):
                    assert numbers in ((7, 8), (8,)), numbers

            executor = MPIPoolExecutor(initializer=refuse)
            error = executor.submit(square, 1).exception()
            assert isinstance(error, concurrent.futures.BrokenExecutor), error
            assert "initializer refuse failed: OSError: no licence" in str(error), error
            try:
                executor.submit(square, 1)
            except concurrent.futures.BrokenExecutor as error:
                assert "no licence" in str(error)
            else:
                raise AssertionError
            executor.shutdown()
            executor = MPIPoolExecutor(initializer=refuse)
            try:
                list(executor.map(square, range(3)))
            except concurrent.futures.BrokenExecutor:
                print("right")
            executor.shutdown()
    """
    assert run_program(write_program, text, ranks).stdout == "right\n"


@on_ranks(1, 2, 3)
@pytest.mark.parametrize("where", ["executor", "thread"])
def test_what_has_ended_is_let_go_of_while_the_main_thread_is_elsewhere(
    where: str, ranks: int, write_program: WriteProgram
) -> None:
    text = f"""
        import weakref

        def submit_and_see(submit):
            living = weakref.WeakSet()
            for _ in range(3):
                things = [Thing(number) for number in range(200)]
                living.update(things)
                fs = [submit(number_of, thing) for thing in things]
                assert [f.result() for f in fs] == list(range(200))
                del things, fs
            end = time.monotonic() + 20
            while len(living) > 200 and time.monotonic() < end:
                submit(number_of, Thing(0)).result()
            print(len(living) <= 200)

        if __name__ == "__main__":
            if {where!r} == "executor":
                with MPIPoolExecutor() as executor:
                    submit_and_see(executor.submit)
            else:
                thread = threading.Thread(target=submit_and_see, args=(futures.submit,))
                thread.start()
                thread.join()
    """
    assert run_program(write_program, text, ranks).stdout == "True\n"


@on_ranks(4)
def test_max_workers_limits_what_is_made_at_a_time(
    ranks: int, write_program: WriteProgram, tmp_path: Path
) -> None:
    text = """
        def alone(folder):
            os.mkdir(folder)  # fails if it is there
            time.sleep(0.01)
            os.rmdir(folder)
            return 1

        if __name__ == "__main__":
            folder = os.path.join(os.path.dirname(__file__), "taken")
            with MPIPoolExecutor(max_workers=1) as executor:
                assert executor.num_workers == 1
                calls = [executor.submit(alone, folder) for _ in range(30)]
                assert calls[20].cancel()
                assert sum(call.result() for call in calls if not call.cancelled()) == 29
                assert sum(executor.map(alone, [folder] * 10)) == 10
                assert sum(executor.map(alone, [folder] * 10, buffersize=2)) == 10
            for wrong in (0, -1):
                try:
                    MPIPoolExecutor(max_workers=wrong)
                except ValueError as error:
                    assert "at least 1" in str(error)
            assert MPIPoolExecutor(max_workers=100).num_workers == 3
            print("right")
    """
    assert run_program(write_program, text, ranks).stdout == "right\n"


@on_ranks(1, 2, 3)
def test_what_is_left_at_the_end_of_the_program_is_done(
    ranks: int, write_program: WriteProgram
) -> None:
    text = """
        def note(future):
            print("done", future.result(), flush=True)

        if __name__ == "__main__":
            executor = MPIPoolExecutor()
            for _ in range(3):
                executor.submit(doze, 0.1).add_done_callback(note)
    """
    assert run_program(write_program, text, ranks).stdout == "done 0.1\n" * 3


@on_ranks(2)
def test_interrupts_reach_who_waits(ranks: int, write_program: WriteProgram) -> None:
    text = """
        import signal
        from scoop_mpi import Pool

        def until_there(path):
            while not os.path.exists(path):
                time.sleep(0.005)
            return "there"

        def interrupted(wait):
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
            try:
                wait()
            except KeyboardInterrupt:
                pass
            else:
                raise AssertionError

        if __name__ == "__main__":
            executor = MPIPoolExecutor()
            path = os.path.join(os.path.dirname(__file__), "there")
            late = executor.submit(until_there, path)
            interrupted(executor.shutdown)
            interrupted(late.result)
            later = Pool().apply_async(until_there, (path,))
            interrupted(later.get)
            open(path, "w").close()
            assert late.result() == later.get() == "there"
            with MPIPoolExecutor() as executor:
                for _ in range(5):
                    call = executor.submit(doze, 0.3)
                    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
                    try:
                        call.result()
                    except KeyboardInterrupt:
                        assert call.result() == 0.3
                    else:
                        raise AssertionError
                assert executor.submit(square, 6).result() == 36
            print("right")
    """
    assert run_program(write_program, text, ranks).stdout == "right\n"


@pytest.mark.parametrize("ranks", [None])
def test_without_a_pool_it_works_one_after_the_other(
    ranks: None, write_program: WriteProgram
) -> None:
    text = (
        HEAD
        + """
STATE = []

def prepare(number):
    STATE.append(number)

if __name__ == "__main__":
    with MPIPoolExecutor(initializer=prepare, initargs=(1,)) as executor:
        assert executor.submit(square, 3).result() == 9
        assert list(executor.map(square, range(4))) == [0, 1, 4, 9]
        assert isinstance(executor.submit(fail, 3).exception(), ValueError)
        assert list(executor.starmap(pow, [(2, 3)], unordered=True)) == [8]
    assert STATE == [1], STATE
    try:
        executor.submit(square, 3)
    except RuntimeError as error:
        assert "after shutdown" in str(error)
    print("right")
"""
    )
    run = launch(write_program(text), ranks=None, python=(), timeout=LIMIT).check()
    assert run.stdout == "right\n"
    assert run.stderr.count("RuntimeWarning") == 1
    assert "python -m scoop_mpi" in run.stderr
