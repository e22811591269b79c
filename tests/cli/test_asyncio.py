"""Coroutines of asyncio's await futures, on real ranks, while their event loop goes on."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

from tests.launch import Run, launch, on_ranks, start

WriteProgram = Callable[..., Path]

LIMIT = 60.0

# What the programs below have in common. Calls wait for a gate, a file, which the loop opens: it
# can do so only if it goes on while they run.
HEAD = """
import asyncio, os, sys, tempfile, threading, time
from pathlib import Path
import scoop_mpi
from scoop_mpi import SIZE, futures

def square(x):
    return x * x

def add(x, y):
    return x + y

def fail(x):
    raise ValueError(x)

def doze(seconds):
    time.sleep(seconds)
    return seconds

class Thing:
    def __init__(self, number):
        self.number = number

def number_of(thing):
    return thing.number

class Gate:
    "Of a call: tells that it has begun, and keeps it from going on."

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(dir="."))

    def pass_by(self, result):
        (self.folder / "begun").touch()
        while not (self.folder / "open").exists():
            time.sleep(0.001)
        return result

    def open(self):
        (self.folder / "open").touch()

    async def until_begun(self):
        while not (self.folder / "begun").exists():
            await asyncio.sleep(0.001)

def raises(kind, function, *arguments):
    try:
        function(*arguments)
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")

async def araises(kind, awaitable):
    try:
        await awaitable
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")

"""


def run_program(write_program: WriteProgram, text: str, ranks: int, *options: str) -> Run:
    """Run a program that begins with `HEAD`, in a folder of its own."""
    lines = [line.removeprefix("        ") for line in text.splitlines()]
    program = write_program(HEAD + "\n".join(lines))
    return launch(*options, program, ranks=ranks, timeout=LIMIT, cwd=program.parent).check()


@on_ranks(1, 2, 3)
def test_results_are_awaited_by_whatever_awaits(ranks: int, write_program: WriteProgram) -> None:
    text = """
        async def awaited(future):
            return await future

        async def main():
            squares = [x * x for x in range(300)]
            assert await futures.submit(square, 7) == 49
            assert await futures.submit(number_of, thing=Thing(3)) == 3
            assert [await futures.submit(square, x) for x in range(20)] == squares[:20]
            assert await asyncio.gather(*(futures.submit(square, x) for x in range(300))) == squares
            things = [futures.submit(number_of, Thing(x)) for x in range(300)]
            assert await asyncio.gather(*things) == list(range(300))
            assert await asyncio.gather(*things) == list(range(300))  # which are done
            firsts = asyncio.as_completed([futures.submit(square, x) for x in range(50)])
            assert sorted([await each for each in firsts]) == squares[:50]
            one = futures.submit(doze, 0.05)
            assert await asyncio.gather(one, awaited(one), asyncio.shield(one)) == [0.05] * 3
            done, left = await asyncio.wait(
                [asyncio.ensure_future(futures.submit(square, x)) for x in range(20)]
            )
            assert sorted(each.result() for each in done) == squares[:20] and not left
            assert await asyncio.create_task(awaited(futures.submit(square, 2))) == 4
            if sys.version_info >= (3, 11):
                async with asyncio.TaskGroup() as group:
                    tasks = [
                        group.create_task(awaited(futures.submit(square, x))) for x in range(20)
                    ]
                assert [task.result() for task in tasks] == squares[:20]

        if __name__ == "__main__":
            asyncio.run(main())
            loop = asyncio.new_event_loop()
            assert loop.run_until_complete(futures.submit(square, 5)) == 25
            loop.close()
            for thread in threading.enumerate():  # none is left over
                if thread.name == "scoop_mpi-helper":
                    thread.join(30)
                    assert not thread.is_alive()
            print("right")
    """
    assert run_program(write_program, text, ranks).stdout == "right\n"


@on_ranks(1, 2, 3)
def test_the_loop_goes_on_meanwhile(ranks: int, write_program: WriteProgram) -> None:
    text = """
        async def main():
            gate = Gate()
            waiting = asyncio.ensure_future(futures.submit(gate.pass_by, 5))
            await gate.until_begun()
            for _ in range(10):
                await asyncio.sleep(0)
            assert not waiting.done()
            gate.open()
            assert await waiting == 5

        if __name__ == "__main__":
            asyncio.run(main())
            print("right")
    """
    assert run_program(write_program, text, ranks).stdout == "right\n"


@on_ranks(1, 2, 3)
def test_errors_are_raised_as_they_are(ranks: int, write_program: WriteProgram) -> None:
    text = """
        class Odd(BaseException):
            pass

        def fail_oddly(x):
            raise Odd(x)

        def stop(x):
            raise StopIteration(x)

        async def main():
            failed = futures.submit(fail, 5)
            error = await araises(ValueError, failed)
            assert error.args == (5,) and error is await araises(ValueError, failed)
            if SIZE > 1:
                assert isinstance(error.__cause__, scoop_mpi.RemoteTraceback)
            assert (await araises(Odd, futures.submit(fail_oddly, 3))).args == (3,)
            error = await araises(RuntimeError, futures.submit(stop, 1))  # as from a coroutine
            assert isinstance(error.__cause__, StopIteration)
            both = await asyncio.gather(
                futures.submit(fail, 1), futures.submit(square, 2), return_exceptions=True
            )
            assert repr(both) == "[ValueError(1), 4]"
            locked = futures.submit(lambda lock: lock.locked(), threading.Lock())
            if SIZE > 1:
                await araises(scoop_mpi.SerializationError, locked)
            else:
                assert await locked is False
            follows = futures.submit(add, futures.submit(fail, 7), 1)
            error = await araises(futures.DependencyError, follows)
            assert repr(error.__cause__) == "ValueError(7)"

        if __name__ == "__main__":
            asyncio.run(main())
            print("right")
    """
    assert run_program(write_program, text, ranks).stdout == "right\n"


@on_ranks(1, 2, 3)
def test_cancelling(ranks: int, write_program: WriteProgram) -> None:
    text = """
        async def main():
            gate = Gate()
            first = futures.submit(gate.pass_by, 3)
            never = [futures.submit(square, first) for _ in range(3)]
            # A coroutine that is cancelled cancels the call, if nobody has begun it.
            waiting = asyncio.ensure_future(never[0])
            others = asyncio.gather(never[0], never[0], return_exceptions=True)
            await asyncio.sleep(0)
            waiting.cancel()
            await araises(asyncio.CancelledError, waiting)
            assert never[0].cancelled()
            assert [type(each) for each in await others] == [asyncio.CancelledError] * 2
            await araises(asyncio.CancelledError, never[0])  # as is a future that is cancelled
            # A future that is cancelled wakes who awaits it.
            waiting = asyncio.ensure_future(never[1])
            await asyncio.sleep(0)
            assert never[1].cancel()
            await araises(asyncio.CancelledError, waiting)
            # Nobody else is disturbed, and a shield keeps the call.
            shielded = asyncio.ensure_future(asyncio.shield(never[2]))
            await asyncio.sleep(0)
            shielded.cancel()
            await araises(asyncio.CancelledError, shielded)
            waiting = asyncio.ensure_future(first)
            await gate.until_begun()
            waiting.cancel()
            await araises(asyncio.CancelledError, waiting)
            assert not first.cancelled()  # it runs
            gate.open()
            assert await first == 3 and await never[2] == 9

        if __name__ == "__main__":
            asyncio.run(main())
            print("right")
    """
    assert run_program(write_program, text, ranks).stdout == "right\n"


@on_ranks(1, 2, 3)
def test_time_limits(ranks: int, write_program: WriteProgram) -> None:
    text = """
        async def main():
            gate = Gate()
            runs = futures.submit(gate.pass_by, 3)
            never = futures.submit(square, runs)
            waiting = asyncio.ensure_future(asyncio.wait_for(runs, 0.2))
            await gate.until_begun()
            await araises(asyncio.TimeoutError, waiting)
            await araises(asyncio.TimeoutError, asyncio.wait_for(never, 0.01))
            assert never.cancelled() and not runs.cancelled()
            if sys.version_info >= (3, 11):
                try:
                    async with asyncio.timeout(0.01):
                        await runs
                except TimeoutError:
                    pass
                else:
                    raise AssertionError
            await araises(asyncio.TimeoutError, asyncio.wait_for(runs, 0))
            gate.open()
            assert await asyncio.wait_for(runs, 30) == 3

        if __name__ == "__main__":
            asyncio.run(main())
            print("right")
    """
    assert run_program(write_program, text, ranks).stdout == "right\n"


@on_ranks(1, 2, 3)
def test_tasks_await_tasks_of_their_own(ranks: int, write_program: WriteProgram) -> None:
    text = """
        async def afibonacci(n):
            if n < 2:
                return n
            return sum(await asyncio.gather(*(futures.submit(fibonacci, n - k) for k in (1, 2))))

        def fibonacci(n):
            return asyncio.run(afibonacci(n))

        async def await_things():
            things = [futures.submit(number_of, Thing(x)) for x in range(9)]
            return sum(await asyncio.gather(*things))

        def run_things(x):
            return x + asyncio.run(await_things())

        def run_within_wait(x):
            return futures.submit(run_things, x).result() + sum(futures.map(run_things, range(3)))

        async def main():
            assert await futures.submit(fibonacci, 8) == 21
            found = await asyncio.gather(*(futures.submit(run_things, x) for x in range(30)))
            assert found == [x + 36 for x in range(30)]
            found = await asyncio.gather(*(futures.submit(run_within_wait, x) for x in range(10)))
            assert found == [x + 147 for x in range(10)], found

        if __name__ == "__main__":
            assert fibonacci(7) == 13
            assert list(futures.map(run_things, range(30))) == [x + 36 for x in range(30)]
            asyncio.run(main())
            print("right")
    """
    assert run_program(write_program, text, ranks).stdout == "right\n"


@on_ranks(1, 2, 3)
def test_a_future_is_awaited_that_others_need_too(ranks: int, write_program: WriteProgram) -> None:
    text = """
        async def main():
            first = futures.submit(square, 3)
            results = futures.map(square, [first, 2, first])
            thing = futures.submit(Thing, 5)
            number = futures.submit(number_of, thing)
            total = futures.submit(sum, [number, first])
            assert await asyncio.gather(total, first, number) == [14, 9, 5]
            assert list(results) == [81, 4, 81]
            # What is awaited needs a call that can't be sent without the program's thread.
            chain = futures.submit(Thing, 1)
            for _ in range(30):
                chain = futures.submit(Thing, futures.submit(number_of, chain))
            assert (await chain).number == 1
            # And who is in the same loop may take it by `result`.
            future = futures.submit(square, 6)
            waiting = asyncio.ensure_future(future)
            await asyncio.sleep(0)
            assert future.result() == 36 and await waiting == 36

        if __name__ == "__main__":
            asyncio.run(main())
            print("right")
    """
    assert run_program(write_program, text, ranks).stdout == "right\n"


@on_ranks(1, 2, 3)
def test_a_loop_in_another_thread(ranks: int, write_program: WriteProgram) -> None:
    text = """
        async def other(future):
            found = await asyncio.gather(*(futures.submit(square, x) for x in range(100)))
            assert found == [x * x for x in range(100)]
            assert await future == 7  # the main thread has submitted it, and what it needs
            gate = Gate()
            waiting = asyncio.ensure_future(futures.submit(gate.pass_by, 5))
            await gate.until_begun()
            gate.open()
            assert await waiting == 5
            chain = futures.submit(Thing, 4)
            assert await futures.submit(add, futures.submit(number_of, chain), 1) == 5
            done.append("other")

        async def main():
            found = await asyncio.gather(*(futures.submit(doze, 0.001) for _ in range(100)))
            assert found == [0.001] * 100
            done.append("main")

        done = []

        if __name__ == "__main__":
            for _ in range(2):
                future = futures.submit(number_of, futures.submit(Thing, 7))
                thread = threading.Thread(target=asyncio.run, args=(other(future),))
                thread.start()
                thread.join()  # this waits for nothing of scoop_mpi's
                assert done.pop() == "other"
            future = futures.submit(number_of, futures.submit(Thing, 7))
            thread = threading.Thread(target=asyncio.run, args=(other(future),))
            thread.start()
            asyncio.run(main())
            thread.join()
            assert sorted(done) == ["main", "other"]
            print("right")
    """
    assert run_program(write_program, text, ranks).stdout == "right\n"


@on_ranks(1, 2, 3)
def test_tasks_that_the_main_thread_has_begun_go_on(
    ranks: int, write_program: WriteProgram
) -> None:
    text = """
        def wait_below(x):
            return sum(each.result() for each in [futures.submit(doze_and, x) for _ in range(3)])

        def doze_and(x):
            time.sleep(0.002)
            return x

        def poll_below(x):
            future = futures.submit(doze_and, x)
            while not future.done():
                pass
            return future.result()

        async def main(tasks):
            return await asyncio.gather(*tasks)

        if __name__ == "__main__":
            for work, factor in ((wait_below, 3), (poll_below, 1)):
                tasks = [futures.submit(work, x) for x in range(40)]
                futures.wait(tasks, return_when=futures.FIRST_COMPLETED)  # the root begins some
                assert asyncio.run(main(tasks)) == [factor * x for x in range(40)]
            print("right")
    """
    assert run_program(write_program, text, ranks).stdout == "right\n"


@on_ranks(1, 2, 3)
def test_callbacks_are_called(ranks: int, write_program: WriteProgram) -> None:
    text = """
        seen = []

        def wait_in_callback(future):
            seen.append(future.result() + futures.submit(square, 4).result())

        async def main():
            gate = Gate()
            future = futures.submit(square, 3)
            future.add_done_callback(wait_in_callback)
            waiting = asyncio.ensure_future(futures.submit(gate.pass_by, 1))
            if SIZE == 3:  # or else nobody makes the other call meanwhile
                while not seen:
                    await asyncio.sleep(0.001)
            gate.open()
            assert await waiting == 1 and await future == 9
            assert seen == [25]

        if __name__ == "__main__":
            asyncio.run(main())
            print("right")
    """
    assert run_program(write_program, text, ranks).stdout == "right\n"


@on_ranks(2, 3)
def test_a_task_with_a_time_limit_goes_on_while_the_root_awaits(
    ranks: int, write_program: WriteProgram
) -> None:
    """Who waits with a limit leaves calls to others, of which the root is none."""
    text = """
        def wait_with_limit(x):
            return futures.submit(square, x).result(timeout=40)

        async def main():
            began = time.monotonic()
            found = await asyncio.gather(*(futures.submit(wait_with_limit, x) for x in range(SIZE)))
            assert found == [x * x for x in range(SIZE)]
            assert time.monotonic() - began < 30

        if __name__ == "__main__":
            asyncio.run(main())
            print("right")
    """
    assert run_program(write_program, text, ranks).stdout == "right\n"


@on_ranks(1, 2, 3)
def test_the_program_ends_while_somebody_awaits(ranks: int, write_program: WriteProgram) -> None:
    text = """
        async def await_below():
            return await asyncio.gather(*(futures.submit(doze, 0.05) for _ in range(4)))

        def run_below(x):
            return asyncio.run(await_below())

        async def main():
            waiting = [asyncio.ensure_future(futures.submit(run_below, x)) for x in range(20)]
            await waiting[0]

        if __name__ == "__main__":
            asyncio.run(main())
            print("right")
    """
    run = run_program(write_program, text, ranks)
    assert run.stdout == "right\n"
    assert not run.stderr, str(run)


@on_ranks(1, 2)
def test_interrupt_ends_the_loop(ranks: int, write_program: WriteProgram) -> None:
    text = """
        async def main():
            gate = Gate()
            waiting = asyncio.ensure_future(futures.submit(gate.pass_by, 1))
            await gate.until_begun()
            print("waiting", flush=True)
            try:
                await waiting
            finally:
                gate.open()

        if __name__ == "__main__":
            try:
                asyncio.run(main())
            except KeyboardInterrupt:
                print("interrupted")
            print(futures.submit(square, 3).result())
    """
    lines = [line.removeprefix("        ") for line in text.splitlines()]
    program = write_program(HEAD + "\n".join(lines))
    with start(program, ranks=ranks, timeout=LIMIT, cwd=program.parent) as job:
        job.wait_for("waiting")
        job.rank_process(0).send_signal(signal.SIGINT)
        assert job.finish().check().stdout == "waiting\ninterrupted\n9\n"


@on_ranks(1, 3)
def test_an_asynchronous_search_heeds_the_rules(ranks: int, write_program: WriteProgram) -> None:
    """A few calls at a time; each that ends has another one begin."""
    text = """
        async def search(starts, most):
            running, found = set(), []
            while starts or running:
                while starts and len(running) < most:
                    running.add(asyncio.ensure_future(futures.submit(number_of, starts.pop())))
                done, running = await asyncio.wait(
                    running, return_when=asyncio.FIRST_COMPLETED
                )
                for each in done:
                    found.append(each.result())
                    if each.result() % 2:
                        starts.append(Thing(each.result() - 1))
            return found

        if __name__ == "__main__":
            found = asyncio.run(search([Thing(x) for x in range(60)], 5))
            assert sorted(found) == sorted([*range(60), *range(0, 60, 2)])
            print("right")
    """
    assert run_program(write_program, text, ranks, "--strict").stdout == "right\n"
