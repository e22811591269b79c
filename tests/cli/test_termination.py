"""SIGTERM, SIGUSR1 and SIGUSR2: they reach the program, which may still save what it has."""

from __future__ import annotations

import os
import pty
import select
import signal
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil
import pytest

from tests.launch import ROOT, is_alive, launch, on_ranks, start, uses_open_mpi

WriteProgram = Callable[..., Path]
LIMIT = 60
NUMBERS = pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2],
    ids=["SIGTERM", "SIGUSR1", "SIGUSR2"],
)

# Saves in a `finally`, a `with` and an exit function, wherever the signal meets it.
SAVING = """
    import atexit, contextlib, sys, time
    from scoop_mpi import Terminated, futures

    def sleep(x):
        print("ready", flush=True)
        time.sleep(100)

    def compute(x):
        print("ready", flush=True)
        while True:
            sum(range(1000))

    def nest(x):
        return futures.submit(compute, x).result()

    def save(name):
        with open(sys.argv[2], "a") as file:
            print(name, file=file)

    @contextlib.contextmanager
    def saving():
        try:
            yield
        finally:
            save("with")

    USES = {
        "the program": lambda: compute(0),
        "a C function": lambda: sleep(0),
        "map": lambda: list(futures.map(sleep, range(100))),
        "map as completed": lambda: list(futures.map_as_completed(compute, range(100))),
        "mapReduce": lambda: futures.mapReduce(compute, max, range(100)),
        "result": lambda: futures.submit(compute, 0).result(),
        "nested": lambda: futures.submit(nest, 0).result(),
        "wait": lambda: futures.wait([futures.submit(sleep, 0)]),
    }

    if __name__ == "__main__":
        atexit.register(save, "exit function")
        try:
            with saving():
                USES[sys.argv[1]]()
        except Terminated as error:
            save(f"{error!r} {error} {error.signum:d} {error.code}")
            raise
        finally:
            save("finally")
"""
USES = (
    "the program",
    "a C function",
    "map",
    "map as completed",
    "mapReduce",
    "result",
    "nested",
    "wait",
)


def saved_by(number: signal.Signals) -> str:
    """Return what `SAVING` has saved in the end."""
    error = f"Terminated({number!r}) {number.name} {int(number)} {128 + number}"
    return f"with\n{error}\nfinally\nexit function\n"


@on_ranks(1, 2)
@pytest.mark.parametrize("use", USES)
def test_sigterm_has_the_program_save_and_end_wherever_it_meets_it(
    use: str, ranks: int, write_program: WriteProgram, tmp_path: Path
) -> None:
    file = tmp_path / "saved"
    with start(write_program(SAVING), use, file, ranks=ranks, timeout=LIMIT) as job:
        job.wait_for("ready")
        job.rank_process(0).send_signal(signal.SIGTERM)
        run = job.finish().check(128 + signal.SIGTERM)
    assert file.read_text() == saved_by(signal.SIGTERM)
    assert run.stderr.count("scoop_mpi: the program ends by SIGTERM.") == 1
    assert "Traceback" not in run.stderr


@on_ranks(3)
@NUMBERS
def test_a_signal_to_all_ranks_as_schedulers_send_it(
    number: signal.Signals, ranks: int, write_program: WriteProgram, tmp_path: Path
) -> None:
    file = tmp_path / "saved"
    with start(write_program(SAVING), "map", file, ranks=ranks, timeout=LIMIT) as job:
        job.wait_for("ready")
        for rank in reversed([job.rank_process(rank) for rank in range(ranks)]):
            rank.send_signal(number)
            rank.send_signal(number)
        job.finish().check(128 + number)
    assert file.read_text() == saved_by(number)


def test_a_signal_that_comes_twice_at_once_is_one(
    write_program: WriteProgram, tmp_path: Path
) -> None:
    program = write_program("""
        import os, signal, time
        from scoop_mpi import Terminated, futures

        met = []

        def send(number):
            os.kill(os.getpid(), number)
            time.sleep(0)

        if __name__ == "__main__":
            for number in [signal.SIGUSR1, signal.SIGUSR2, signal.SIGUSR1, signal.SIGUSR2]:
                try:
                    send(number)
                except Terminated as error:
                    for _ in range(3):  # while the program saves what it has
                        send(number)
                    met.append(error.signum)
            first = [signal.SIGUSR1, signal.SIGUSR2]
            assert met == first, met
            print("ready", flush=True)
            deadline = time.monotonic() + 50
            while met == first and time.monotonic() < deadline:
                try:
                    list(futures.map(abs, range(100)))
                    send(signal.SIGUSR2)
                except Terminated as error:
                    met.append(error.signum)
            assert met == [*first, signal.SIGUSR2], met
    """)
    launch(program, ranks=2, timeout=LIMIT).check()


GOING_ON = """
    import sys, time
    from scoop_mpi import Terminated, futures

    if __name__ == "__main__":
        met = 0
        deadline = time.monotonic() + float(sys.argv[1])
        while True:
            try:
                print("ready", flush=True)
                while time.monotonic() < deadline:
                    found = list(futures.map(abs, range(-50, 50)))
                    assert found == [abs(x) for x in range(-50, 50)]
                break
            except Terminated:
                met += 1
                print("met", flush=True)
        print("met", met, "in all")
"""


@on_ranks(1, 2, 4)
def test_a_program_may_end_as_it_likes(ranks: int, write_program: WriteProgram) -> None:
    with start(write_program(GOING_ON), "3", ranks=ranks, timeout=LIMIT) as job:
        job.wait_for("ready")
        for rank in range(ranks):
            job.rank_process(rank).send_signal(signal.SIGTERM)
        job.wait_for("met")
        job.rank_process(0).send_signal(signal.SIGTERM)  # which it knows
        run = job.finish().check()
    assert run.stdout.endswith("met 1 in all\n")


@on_ranks(1, 2, 4)
def test_it_may_not_go_on_for_longer_than_its_grace(
    ranks: int, write_program: WriteProgram
) -> None:
    program = write_program(GOING_ON)
    with start("--grace", "0.5", program, "300", ranks=ranks, timeout=LIMIT) as job:
        job.wait_for("ready")
        job.rank_process(0).send_signal(signal.SIGTERM)
        run = job.finish().check(None)
    assert "met" in run.stdout
    assert "in all" not in run.stdout
    assert "rank 0 (" in run.stderr
    assert "the job has not ended within 0.5 s (--grace)" in run.stderr


@on_ranks(1, 2)
def test_the_grace_begins_with_the_signal_wherever_that_meets_the_program(
    ranks: int, write_program: WriteProgram
) -> None:
    program = write_program("""
        import time
        from scoop_mpi import futures

        def work(x):
            while True:
                try:
                    print("ready", flush=True)
                    time.sleep(100)
                except SystemExit:
                    print("caught", flush=True)

        if __name__ == "__main__":
            futures.submit(work, 0).result()
    """)
    with start("--grace", "0.5", program, ranks=ranks, timeout=LIMIT) as job:
        job.wait_for("ready")
        job.rank_process(0).send_signal(signal.SIGTERM)
        job.finish().check(None)


@on_ranks(2)
def test_a_worker_that_alone_gets_sigterm_ends_after_the_grace(
    ranks: int, write_program: WriteProgram
) -> None:
    with start("--grace", "0", write_program(GOING_ON), "300", ranks=ranks, timeout=LIMIT) as job:
        job.wait_for("ready")
        job.rank_process(1).send_signal(signal.SIGTERM)
        run = job.finish().check(None)
    assert "rank 1 (" in run.stderr


@on_ranks(3)
@pytest.mark.parametrize("use", ["result", "the program"])
def test_no_rank_outlives_its_launcher_for_long(
    use: str, ranks: int, write_program: WriteProgram, tmp_path: Path
) -> None:
    """Of workers with and without work, the root killed at once."""
    with start(
        *("--grace", "0.5", write_program(SAVING), use, tmp_path / "saved"),
        ranks=ranks,
        timeout=LIMIT,
    ) as job:
        job.wait_for("ready")
        processes = [job.rank_process(rank) for rank in range(ranks)]
        launchers = [process for process in job.processes() if process not in processes]
        for process in launchers:
            process.suspend()
        processes[0].kill()
        for process in processes[1:]:
            process.send_signal(signal.SIGTERM)
        for process in launchers:
            process.kill()
        _, alive = psutil.wait_procs(processes, timeout=LIMIT)
        assert not [process for process in alive if is_alive(process)]
        job.finish().check(None)


@on_ranks(2, 4)
def test_a_signal_to_mpiexec(ranks: int, write_program: WriteProgram, tmp_path: Path) -> None:
    """Open MPI's kills the ranks some 0.2 s later, so that nothing is sure there but the end."""
    file = tmp_path / "saved"
    with start(write_program(SAVING), "map", file, ranks=ranks, timeout=LIMIT) as job:
        job.wait_for("ready")
        job.send_signal(signal.SIGTERM)
        job.finish().check(None)
    if not uses_open_mpi():
        assert file.read_text() == saved_by(signal.SIGTERM)


@on_ranks(2)
def test_the_programs_own_handler_stays(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        import os, signal, time
        from scoop_mpi import futures

        def note(number, frame):
            print("noted", signal.Signals(number).name)

        if __name__ == "__main__":
            for number in (signal.SIGTERM, signal.SIGUSR1):
                assert callable(signal.getsignal(number))
                signal.signal(number, note)
                assert signal.getsignal(number) is note
                os.kill(os.getpid(), number)
            print(list(futures.map(abs, [-1])))
    """)
    run = launch(program, ranks=ranks, timeout=LIMIT).check()
    assert run.stdout == "noted SIGTERM\nnoted SIGUSR1\n[1]\n"


@on_ranks(1, 2)
@pytest.mark.parametrize("where", ["the program", "a task"])
def test_children_end_by_these_signals_as_ever(
    where: str, ranks: int, write_program: WriteProgram
) -> None:
    program = write_program(f"""
        import multiprocessing, os, signal, subprocess, sys, time
        from scoop_mpi import futures

        def statuses(_=None):
            found = []
            for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
                forked = multiprocessing.get_context("fork").Process(target=time.sleep, args=(100,))
                forked.start()
                os.kill(forked.pid, number)
                forked.join()
                found.append(forked.exitcode == -number)
                started = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
                os.kill(started.pid, number)
                found.append(started.wait() == -number)
            return found

        if __name__ == "__main__":
            if {where == "a task"}:
                print(all(sum(futures.map(statuses, range(4)), [])))
            else:
                print(all(statuses()))
    """)
    run = launch(program, ranks=ranks, timeout=LIMIT).check()
    assert run.stdout == "True\n"


@on_ranks(2)
@pytest.mark.parametrize("error", ["Terminated()", "Terminated(signal.SIGUSR1)"])
def test_a_task_may_raise_it_as_well(error: str, ranks: int, write_program: WriteProgram) -> None:
    """It is that task's outcome, as any exception is."""
    program = write_program(f"""
        import signal, time
        from scoop_mpi import Terminated, futures

        def end(x):
            time.sleep(0.1)
            raise {error}

        if __name__ == "__main__":
            raised = [futures.submit(end, x) for x in range(6)]
            print({{repr(future.exception()) for future in raised}} == {{repr({error})}})
            print(all(type(future.exception()) is Terminated for future in raised))
            raised[0].result()
    """)
    number = signal.SIGUSR1 if "USR1" in error else signal.SIGTERM
    run = launch(program, ranks=ranks, timeout=LIMIT).check(128 + number)
    assert run.stdout == "True\nTrue\n"


def test_sigterm_while_the_end_waits_for_tasks(write_program: WriteProgram) -> None:
    program = write_program("""
        import time
        from scoop_mpi import futures

        def work():
            time.sleep(300)

        if __name__ == "__main__":
            future = futures.submit(work)
            while not future.running():
                future.done()
    """)
    with start(program, ranks=2, timeout=LIMIT) as job:
        job.wait_for("waits for what still runs")
        job.rank_process(0).send_signal(signal.SIGTERM)
        job.finish().check(None)


# ------------------------------------------------------------ sent to `python -m scoop_mpi -n`

SLOWLY_SAVING = """
    import sys, time
    from scoop_mpi import futures

    def work(x):
        print("ready", flush=True)
        time.sleep(100)

    if __name__ == "__main__":
        try:
            list(futures.map(work, range(100)))
        finally:
            time.sleep(2)  # ten times what Open MPI's mpiexec would leave it
            with open(sys.argv[1], "w") as file:
                print(sys.exc_info()[0].__name__, file=file)
"""


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (signal.SIGINT, "KeyboardInterrupt"),
        (signal.SIGTERM, "Terminated"),
        (signal.SIGUSR1, "Terminated"),
    ],
)
def test_a_program_that_was_started_by_us_has_the_time_it_needs(
    number: signal.Signals, error: str, write_program: WriteProgram, tmp_path: Path
) -> None:
    file = tmp_path / "saved"
    with start("-n", "2", write_program(SLOWLY_SAVING), file, ranks=None, timeout=LIMIT) as job:
        job.wait_for("ready")
        if number == signal.SIGINT:
            job.press_interrupt()
        else:
            job.send_signal(number)
        job.finish().check(128 + number)
    assert file.read_text() == f"{error}\n"


STUBBORN = """
    import time
    from scoop_mpi import Terminated, futures

    if __name__ == "__main__":
        while True:
            try:
                print("ready", flush=True)
                while True:
                    list(futures.map(abs, range(100)))
            except (KeyboardInterrupt, Terminated):
                print("met", flush=True)
"""


def test_two_interrupts_within_a_second_end_everything(write_program: WriteProgram) -> None:
    with start("-n", "2", write_program(STUBBORN), ranks=None, timeout=LIMIT) as job:
        job.wait_for("ready")
        job.press_interrupt()
        job.wait_for("met")
        job.press_interrupt()
        job.press_interrupt()
        job.finish().check(None)


def test_a_program_that_does_not_end_is_ended(write_program: WriteProgram) -> None:
    program = write_program(STUBBORN)
    with start("--grace", "1", "-n", "2", program, ranks=None, timeout=LIMIT) as job:
        job.wait_for("ready")
        job.send_signal(signal.SIGTERM)
        job.finish().check(128 + signal.SIGTERM)


def test_a_rank_that_does_not_even_run_python_is_ended(write_program: WriteProgram) -> None:
    """Its handler can't run, nor can its pump."""
    program = write_program("""
        import ctypes

        if __name__ == "__main__":
            print("ready", flush=True)
            ctypes.PyDLL(None).sleep(300)
    """)
    with start("--grace", "0", "-n", "2", program, ranks=None, timeout=LIMIT) as job:
        job.wait_for("ready")
        job.send_signal(signal.SIGTERM)
        job.finish().check(None)


def test_a_signal_before_there_is_a_root_ends_the_job(write_program: WriteProgram) -> None:
    program = write_program("""
        import time

        print("ready", flush=True)
        if __name__ != "__main__":
            time.sleep(100)
    """)
    with start("-n", "2", program, ranks=None, timeout=LIMIT) as job:
        job.wait_for("ready")
        job.send_signal(signal.SIGTERM)
        job.finish().check(None)


def test_what_was_started_ends_with_who_has_started_it(write_program: WriteProgram) -> None:
    program = write_program(STUBBORN)
    with start("--grace", "0.5", "-n", "3", program, ranks=None, timeout=LIMIT) as job:
        job.wait_for("ready")
        job.send_signal(signal.SIGKILL)
        job.finish().check(None)


@pytest.mark.parametrize("status", [0, 3])
def test_a_root_that_c_code_ends_is_no_success(status: int, write_program: WriteProgram) -> None:
    program = write_program(f"""
        import ctypes

        if __name__ == "__main__":
            ctypes.CDLL(None).exit({status})
    """)
    run = launch("-n", "2", program, ranks=None, timeout=LIMIT).check(None)
    assert run.returncode != 0


def in_terminal(words: list[str], dialogue: Iterable[tuple[str, str]]) -> tuple[str, int]:
    """Run a job in a terminal, and type each answer once its prompt is there.

    Returns:
        What the terminal shows, and the exit status.
    """
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(ROOT)
        os.execv(sys.executable, [sys.executable, "-m", "scoop_mpi", *words])
    shown = ""
    deadline = time.monotonic() + LIMIT
    try:
        for prompt, answer in [*dialogue, ("\0", "")]:
            place = len(shown)
            while prompt not in shown[place:]:
                left = max(0.0, deadline - time.monotonic())
                assert select.select([terminal], [], [], left)[0], f"no {prompt!r} in:\n{shown}"
                try:
                    shown += os.read(terminal, 4096).decode()
                except OSError:  # nobody has it open any more
                    break
            if answer:
                os.write(terminal, answer.encode())
        return shown, os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    except BaseException:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        raise
    finally:
        os.close(terminal)


@pytest.mark.parametrize("ranks", ["1", "3"])
def test_a_terminal_is_read_to_its_end(ranks: str, write_program: WriteProgram) -> None:
    """By the program, while other words go to the terminal; and Ctrl-C there is the program's."""
    program = write_program("""
        import sys, time

        if __name__ == "__main__":
            print("which?")  # Open MPI passes whole lines on
            print("first", input())
            for line in sys.stdin:
                print("then", line.strip(), flush=True)
            try:
                print("at its end", flush=True)
                time.sleep(100)
            except KeyboardInterrupt:
                print("interrupted")
                sys.exit(9)
    """)
    shown, status = in_terminal(
        ["-n", ranks, str(program)],
        [("which?", "one\n"), ("first one", "two\n"), ("then two", "\x04"), ("at its end", "\x03")],
    )
    assert "interrupted" in shown
    assert status == 9
