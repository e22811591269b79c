"""Signals at any time: what their handlers raise is the program's, and nothing else is hurt.

A notebook's user interrupts all day, and goes on. So do programs with an alarm.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.launch import launch, on_ranks

WriteProgram = Callable[..., Path]

LIMIT = 60.0

# Interrupts itself at random times until the deadline, and computes the right things between.
PROGRAM = """
    import os, select, signal, subprocess, sys, time
    from scoop_mpi import futures

    class Alarm(Exception):
        pass

    def ring(number, frame):
        raise Alarm(number)

    def work(x):
        return x * x

    def work_longer(x):
        time.sleep(0.0005)
        return x * x

    def nested(x):
        return sum(futures.map(work, range(x % 5)))

    class Box:
        def __init__(self, x):
            self.x = x

    def unbox(box):
        return box.x

    def use_map():
        assert list(futures.map(work, range(60))) == [x * x for x in range(60)]

    def use_longer_map():
        assert sum(futures.map(work_longer, range(30))) == 8555

    def use_boxes():
        assert list(futures.map(unbox, map(Box, range(40)))) == list(range(40))

    def use_nested():
        assert list(futures.map(nested, range(10))) == [0, 0, 1, 5, 14] * 2

    def use_submit():
        assert [futures.submit(work, x).result() for x in range(50)] == [x * x for x in range(50)]

    def use_polling():
        future = futures.submit(work, 3)
        while not future.done():
            pass
        assert future.result() == 9

    def use_waits():
        fs = [futures.submit(work_longer, x) for x in range(10)]
        assert sum(f.result() for f in futures.as_completed(fs)) == 285
        assert futures.mapReduce(work, max, range(50)) == 2401

    USES = {"map": use_map, "longer": use_longer_map, "boxes": use_boxes, "nested": use_nested,
            "submit": use_submit, "polling": use_polling, "waits": use_waits}

    class Interrupter:
        '''A process that sends one signal after the other; each once the one before has been met.

        What a handler raises in a task whose result nobody wants any more nobody meets.
        '''

        CODE = (
            "import os, random, select, sys, time\\n"
            "parent, number, count = map(int, sys.argv[1:])\\n"
            "rng = random.Random(count)\\n"
            "for _ in range(count):\\n"
            "    time.sleep(0.001 + rng.random() * 0.01)\\n"
            "    os.kill(parent, number)\\n"
            "    if select.select([0], [], [], 3)[0]:\\n"
            "        os.read(0, 1)\\n"
        )

        def __init__(self, number, count):
            words = sys.executable, "-S", "-c", self.CODE, *map(str, (os.getpid(), number, count))
            # In a session of its own, and unbuffered: an interrupt may come amid anything.
            self.process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )

        @property
        def has_ended(self):
            return bool(select.select([self.process.stdout], [], [], 0)[0])

        def has_been_met(self):
            os.write(self.process.stdin.fileno(), b"x")

    if __name__ == "__main__":
        number = getattr(signal, sys.argv[1])
        count = int(sys.argv[2])
        uses = [USES[name] for name in sys.argv[3:] or USES]
        if number != signal.SIGINT:
            signal.signal(number, ring)
            assert signal.getsignal(number) is ring
        interrupter = Interrupter(number, count)
        met = owed = 0
        while True:
            try:
                if owed:
                    interrupter.has_been_met()
                    owed = 0
                while not interrupter.has_ended:
                    for use in uses:
                        use()
                break
            except (KeyboardInterrupt, Alarm):
                met += 1
                owed = 1
        interrupter.process.stdin.close()
        assert interrupter.process.wait() == 0
        assert met == count or (number != signal.SIGINT and met > count // 2), (met, count)
        for use in USES.values():
            use()
        print("right")
"""


@on_ranks(1, 2, 3)
@pytest.mark.parametrize("number", ["SIGINT", "SIGUSR1", "SIGALRM"])
def test_a_program_that_is_interrupted_all_the_time_goes_on(
    ranks: int, number: str, write_program: WriteProgram
) -> None:
    run = launch(write_program(PROGRAM), number, "150", ranks=ranks, timeout=LIMIT).check()
    assert run.stdout == "right\n"


@on_ranks(1, 2)
@pytest.mark.parametrize("use", ["map", "longer", "boxes", "nested", "submit", "polling", "waits"])
def test_whatever_it_does(ranks: int, use: str, write_program: WriteProgram) -> None:
    run = launch(write_program(PROGRAM), "SIGINT", "40", use, ranks=ranks, timeout=LIMIT).check()
    assert run.stdout == "right\n"


@on_ranks(2)
def test_a_handler_within_a_task_is_the_tasks(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        import signal, time
        from scoop_mpi import futures

        class TooLong(Exception):
            pass

        def ring(number, frame):
            raise TooLong(frame is not None)

        def limited(x):
            before = signal.signal(signal.SIGALRM, ring)
            signal.setitimer(signal.ITIMER_REAL, 0.02)
            try:
                if x % 2:
                    time.sleep(10)
                return "in time"
            except TooLong as error:
                return f"too long, {error}"
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(signal.SIGALRM, before)

        if __name__ == "__main__":
            print(sorted(set(futures.map(limited, range(20)))))
    """)
    run = launch(program, ranks=ranks, timeout=LIMIT).check()
    assert run.stdout == "['in time', 'too long, True']\n"


@on_ranks(1, 2)
def test_a_c_function_can_be_interrupted(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        import os, signal, threading, time
        from scoop_mpi import futures

        def interrupt_soon():
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()

        def expect_interrupt(act):
            interrupt_soon()
            try:
                act()
            except KeyboardInterrupt:
                print("interrupted")

        if __name__ == "__main__":
            expect_interrupt(lambda: time.sleep(100))
            expect_interrupt(lambda: futures.submit(time.sleep, 1).result())
            expect_interrupt(lambda: list(futures.map(time.sleep, [1, 1])))
            print(list(futures.map(abs, [-1, 2])))
    """)
    run = launch(program, ranks=ranks, timeout=LIMIT).check()
    assert run.stdout == "interrupted\n" * 3 + "[1, 2]\n"


@on_ranks(2)
def test_one_interrupt_is_raised_once_though_a_task_that_it_meets_takes_its_time(
    ranks: int, write_program: WriteProgram
) -> None:
    program = write_program("""
        import os, signal, threading, time
        from scoop_mpi import futures

        has_ended = threading.Event()

        def far_away():
            time.sleep(1.5)

        def takes_its_time(_):
            try:
                threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
                time.sleep(60)
            except KeyboardInterrupt:
                far.result()  # the program goes on meanwhile
                has_ended.set()
                raise

        if __name__ == "__main__":
            far = futures.submit(far_away)
            while not far.running():
                far.done()
            here = futures.map(takes_its_time, [0])
            interrupts = 0
            for _ in range(200):
                try:
                    far.result()
                    list(futures.map(abs, range(100)))
                    if has_ended.is_set():
                        break
                except KeyboardInterrupt:
                    interrupts += 1
            for _ in range(20):
                try:
                    list(futures.map(abs, range(100)))
                except KeyboardInterrupt:
                    interrupts += 1
            print(interrupts, has_ended.is_set())
    """)
    run = launch(program, ranks=ranks).check()
    assert run.stdout == "1 True\n"


@on_ranks(1, 2)
@pytest.mark.parametrize("terms", ["name='asleep'", "retries=2", "time_limit=50", "isolated=True"])
def test_a_call_of_c_code_with_terms_is_interrupted_too(
    terms: str, ranks: int, write_program: WriteProgram
) -> None:
    program = write_program(f"""
        import os, signal, threading, time
        from scoop_mpi import futures

        if __name__ == "__main__":
            options = futures.options({terms})
            assert options.submit(abs, -1).result() == 1
            begun = time.monotonic()
            threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
            try:
                [future.result() for future in [options.submit(time.sleep, 40) for _ in range(2)]]
            except KeyboardInterrupt:
                print("interrupted", time.monotonic() - begun < 20)
            raise SystemExit(3)  # what still runs elsewhere is not waited for
    """)
    run = launch("--root", "works", program, ranks=ranks, timeout=LIMIT).check(3)
    assert run.stdout == "interrupted True\n"
