"""What goes wrong: whatever happens, the job ends, says why once, and leaves nothing running."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.launch import Run, launch, mpi_library, on_ranks, start, uses_open_mpi

WriteProgram = Callable[..., Path]

# Seconds in which a job that has failed must have ended, however slow the machine: the limit of
# each job. A job that hangs runs into it.
LIMIT = 60.0

BUSY = """
    import os, sys, time
    import scoop_mpi
    from scoop_mpi import futures

    def work(x):
        print("working", flush=True)
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            sum(range(10000))

    if __name__ == "__main__":
        list(futures.map(work, range(scoop_mpi.SIZE)))
"""


def count(run: Run, text: str) -> int:
    return (run.stdout + run.stderr).count(text)


# ------------------------------------------------------------ after the end


@on_ranks(1, 2)
def test_a_del_method_that_waits_while_python_shuts_down(
    ranks: int, write_program: WriteProgram
) -> None:
    """Each is told, once, that the program has ended: greenlets can't be had any more."""
    program = write_program("""
        import os
        from scoop_mpi import futures, shared

        class Late:
            def __init__(self, use):
                self.use = use

            def __del__(self, write=os.write):
                try:
                    self.use()
                except BaseException as error:
                    write(2, f"{type(error).__name__}: {error}\\n".encode())

        late = [
            Late(lambda map=futures.map: list(map(abs, range(3)))),
            Late(lambda wait=futures.wait, submit=futures.submit: wait([submit(abs, 1)])),
            Late(lambda set=shared.setConst: set(late=1)),
            Late(lambda get=shared.getConst: get("late")),
        ]
        if __name__ == "__main__":
            assert list(futures.map(abs, range(3))) == [0, 1, 2]
    """)
    run = launch(program, ranks=ranks, timeout=LIMIT).check()
    assert run.stderr.splitlines() == ["CancelledError: the program has ended"] * 4 * ranks


# ------------------------------------------------------------ tasks


@on_ranks(1, 2, 4)
def test_an_exception_that_nobody_catches(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        import time
        from scoop_mpi import futures

        def invert(x):
            time.sleep(0.01)
            return 1 / x

        if __name__ == "__main__":
            list(futures.map(invert, [3, 2, 1, 0, -1]))
    """)
    run = launch(program, ranks=ranks, timeout=LIMIT).check(1)
    assert count(run, "ZeroDivisionError: division by zero") in (1, 2)  # with its remote cause
    assert "return 1 / x" in run.stderr
    assert "futures.map(invert" in run.stderr


@on_ranks(2, 4)
def test_a_remote_exception_says_where(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        import scoop_mpi
        from scoop_mpi import futures

        def fail():
            raise KeyError("on purpose", scoop_mpi.worker.rank)

        if __name__ == "__main__":
            while True:
                future = futures.submit(fail)
                while not future.done():
                    pass
                error = future.exception()
                if error.args[1] != 0:
                    break
            cause = error.__cause__
            print(type(error).__name__, cause.rank == error.args[1], "in fail" in cause.text)
            print(cause.host == scoop_mpi.worker.host)
    """)
    run = launch(program, ranks=ranks, timeout=LIMIT).check()
    assert run.stdout == "KeyError True True\nTrue\n"


@on_ranks(2, 4)
def test_bad_objects_fail_alone(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        import threading
        from scoop_mpi import SerializationError, futures

        class Stubborn(Exception):
            def __init__(self, one, two):
                super().__init__(f"{one} {two}")

        def make_lock(x):
            return threading.Lock() if x == 3 else x

        def take(x):
            return str(type(x).__name__)

        def stubborn(x):
            if x == 3:
                raise Stubborn(1, 2)
            return x

        def poll(future):
            while not future.done():
                pass
            return future

        def outcomes(function, arguments):
            fs = [poll(futures.submit(function, x)) for x in arguments]
            errors = [f.exception() for f in fs]
            assert sum(error is not None for error in errors) <= 1, errors
            return [str(error) for error in errors if isinstance(error, SerializationError)]

        if __name__ == "__main__":
            for name, function, arguments in [
                ("result", make_lock, range(6)),
                ("argument", take, [1, 2, 3, threading.Lock(), 4]),
                ("exception", stubborn, range(6)),
            ]:
                while not (texts := outcomes(function, arguments)):
                    pass  # it ran where it was submitted
                print(name, texts[0])
            assert list(futures.map(abs, range(-100, 0))) == list(range(100, 0, -1))
    """)
    run = launch(program, ranks=ranks, timeout=LIMIT).check()
    result, argument, exception = run.stdout.splitlines()
    assert "lock" in result
    assert "argument 1" in argument
    assert "lock" in argument
    assert "Stubborn" in exception


REBOUND = """
    import operator, time
    from scoop_mpi import futures

    factor = 1
    calls = 0

    def scale(x):
        global calls
        calls += 1
        time.sleep(0.001)
        return factor * x + 0 * calls

    def outer(x):
        return scale(x) + 0 * factor

    if __name__ == "__main__":
        list(futures.map(scale, range(10)))
        factor = 10
        for _ in range(2):
            USE
"""


@pytest.mark.parametrize(
    "use",
    [
        "list(futures.map(scale, range(10)))",
        "list(futures.map(outer, range(10), buffersize=4))",
        "list(futures.map_as_completed(lambda x: scale(x), range(10)))",
        "futures.mapReduce(scale, operator.add, range(10))",
        "futures.mapScan(scale, operator.add, range(10))",
    ],
)
def test_a_name_that_only_the_root_has_bound_anew_is_warned_of_once(
    use: str, write_program: WriteProgram
) -> None:
    program = write_program(REBOUND.replace("USE", use))
    for ranks, times in ((1, 0), (2, 1)):
        run = launch(program, ranks=ranks, timeout=LIMIT).check()
        assert count(run, "RuntimeWarning: factor has been bound anew") == times
        assert count(run, "calls has been bound anew") == 0
        assert count(run, "program.py:21: RuntimeWarning") == times  # where the map is


# ------------------------------------------------------------ the root's end


@on_ranks(1, 4)
@pytest.mark.parametrize(
    ("ending", "status", "text"),
    [
        ("sys.exit()", 0, ""),
        ("sys.exit(3)", 3, ""),
        ("sys.exit('so be it')", 1, "so be it"),
        ("raise KeyError('so be it')", 1, "KeyError: 'so be it'"),
        ("raise SystemExit(200)", 200, ""),
        ("pass", 0, ""),
    ],
)
def test_the_roots_end(
    ranks: int, ending: str, status: int, text: str, write_program: WriteProgram
) -> None:
    program = write_program(f"""
        import sys
        from scoop_mpi import futures

        if __name__ == "__main__":
            assert list(futures.map(abs, [-1, -2])) == [1, 2]
            print("at the end")
            {ending}
    """)
    run = launch(program, ranks=ranks, timeout=LIMIT).check(status)
    assert run.stdout == "at the end\n"
    assert count(run, text) == 1 if text else True
    assert count(run, "Traceback") == ("KeyError" in text)


@on_ranks(2, 4)
def test_the_root_raises_while_others_compute(ranks: int, write_program: WriteProgram) -> None:
    program = write_program(
        BUSY.replace(
            "list(futures.map(work, range(scoop_mpi.SIZE)))",
            """
            fs = [futures.submit(work, x) for x in range(scoop_mpi.SIZE)]
            time.sleep(1)
            raise KeyError("the root's own")
            """.strip().replace("\n    ", "\n"),
        )
    )
    run = launch(program, ranks=ranks, timeout=LIMIT).check(1)
    assert count(run, 'KeyError: "the root\'s own"') == 1


@on_ranks(1, 2, 4)
def test_the_root_ends_with_tasks_left(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        import time
        from scoop_mpi import futures

        def work(x):
            time.sleep(0.01)

        if __name__ == "__main__":
            fs = [futures.submit(work, x) for x in range(100_000)]
            futures.map(work, range(100_000))
            futures.wait(fs[:100], timeout=0.5)
            print("the end")
    """)
    run = launch(program, ranks=ranks, timeout=LIMIT).check()
    assert run.stdout == "the end\n"
    assert run.stderr == ""


@on_ranks(2)
def test_a_task_that_outlives_the_program_is_named(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        import time
        from scoop_mpi import futures

        def long_lived():
            print("running", flush=True)
            time.sleep(8)
            print("let finish", flush=True)

        if __name__ == "__main__":
            future = futures.submit(long_lived)
            while not future.running():
                future.done()
            time.sleep(0.5)
    """)
    run = launch(program, ranks=ranks, timeout=LIMIT).check()
    assert "let finish" in run.stdout
    assert count(run, "waits for what still runs here: long_lived") == 1
    assert "rank 1" in run.stderr


@on_ranks(1, 2)
def test_threads_that_outlive_the_program(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        import threading
        import time
        from concurrent.futures import ThreadPoolExecutor
        from scoop_mpi import futures

        def work(x):
            time.sleep(0.01)
            return x

        def use_futures():
            time.sleep(0.3)
            print(sum(futures.map(work, range(20))))

        if __name__ == "__main__":
            executor = ThreadPoolExecutor()  # whose threads idle until Python itself ends
            assert executor.submit(lambda: sum(futures.map(work, range(5)))).result() == 10
            threading.Thread(target=use_futures).start()
    """)
    run = launch(program, ranks=ranks, timeout=LIMIT).check()
    assert run.stdout == "190\n"
    assert run.stderr == ""


# ------------------------------------------------------------ importing the program


@on_ranks(2, 4)
def test_a_program_that_a_worker_cannot_import(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        import time
        import scoop_mpi

        if not scoop_mpi.IS_ORIGIN:
            import there_is_no_such_module

        if __name__ == "__main__":
            from scoop_mpi import futures
            future = futures.submit(abs, -1)
            while True:
                futures.wait([futures.submit(abs, -1)], timeout=0.1)
                future.done()
                time.sleep(0.01)
    """)
    run = launch(program, ranks=ranks, timeout=LIMIT).check(1)
    assert count(run, "No module named 'there_is_no_such_module'") == 1
    assert "could not import the program" in run.stderr


@on_ranks(1, 4)
def test_a_program_that_nobody_can_import(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("import there_is_no_such_module")
    run = launch(program, ranks=ranks, timeout=LIMIT).check(1)
    assert count(run, "No module named 'there_is_no_such_module'") == 1


@on_ranks(2, 4)
def test_futures_outside_the_main_guard(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        from scoop_mpi import futures
        print(sum(futures.map(abs, range(-10, 0))))
    """)
    run = launch(program, ranks=ranks, timeout=LIMIT).check(1)
    assert count(run, 'if __name__ == "__main__":') == 1
    assert "main guard" in run.stderr


@on_ranks(2, 4)
def test_constants_outside_the_main_guard(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        from scoop_mpi import shared
        shared.setConst(x=1)
    """)
    run = launch(program, ranks=ranks, timeout=LIMIT).check(1)
    assert count(run, 'if __name__ == "__main__":') == 1


@on_ranks(1, 4)
def test_no_such_file(ranks: int, tmp_path: Path) -> None:
    run = launch(tmp_path / "missing.py", ranks=ranks, timeout=LIMIT).check(2)
    assert count(run, "can't open the program") == 1
    assert "missing.py" in run.stderr
    assert "Traceback" not in run.stderr


@on_ranks(1, 4)
@pytest.mark.parametrize("source", ["def f(:", "x = '''", "if x:\ny", "return 1"])
@pytest.mark.parametrize("kind", ["script", "module", "code"])
def test_a_syntax_error_is_printed_as_python_prints_it(
    ranks: int, source: str, kind: str, write_program: WriteProgram, tmp_path: Path
) -> None:
    script = write_program(source)
    words: dict[str, list[str | Path]] = {
        "script": [script],
        "module": ["-m", "program"],
        "code": ["-c", source],
    }
    python = launch(*words[kind], ranks=None, python=(), cwd=tmp_path, timeout=LIMIT)
    wanted = python.check(1).stderr
    if kind == "module":  # where Python shows its own way there first
        wanted = wanted[wanted.index(f'  File "{script}"') :]
    run = launch(*words[kind], ranks=ranks, cwd=tmp_path, timeout=LIMIT).check(1)
    assert wanted in run.stderr  # and what Open MPI's mpiexec adds
    assert count(run, wanted.splitlines()[-1]) == 1


@on_ranks(2)
def test_a_syntax_error_in_what_the_program_imports(
    ranks: int, write_program: WriteProgram
) -> None:
    write_program("def f(:", "broken.py")
    run = launch(write_program("import broken"), ranks=ranks, timeout=LIMIT).check(1)
    assert count(run, "SyntaxError: invalid syntax") == 1
    assert "import broken" in run.stderr


@on_ranks(1, 4)
def test_no_such_module(ranks: int) -> None:
    run = launch("-m", "there_is_no_such_module", ranks=ranks, timeout=LIMIT).check(2)
    assert count(run, "no module there_is_no_such_module") == 1


# ------------------------------------------------------------ ranks that die


@on_ranks(2, 4)
@pytest.mark.parametrize("victim", [0, 1])
def test_a_rank_that_is_killed(ranks: int, victim: int, write_program: WriteProgram) -> None:
    with start("-v", write_program(BUSY), ranks=ranks, timeout=LIMIT) as job:
        job.wait_for("working")
        process = job.rank_process(victim)
        job.wait_for(f"process {process.pid} of")  # the root may be working before it
        process.kill()
        run = job.finish().check(None)
    # It is mpiexec that tells. MPICH's names a process, and not always the first that died.
    if uses_open_mpi():
        assert f"process rank {victim} with PID {process.pid}" in run.stderr
    else:
        assert "BAD TERMINATION" in run.stdout
    logged = [line for line in run.stderr.splitlines() if f"process {process.pid} of" in line]
    assert [f"rank {victim} (" in line for line in logged] == [True]


@on_ranks(2, 4)
@pytest.mark.parametrize("call", ["os._exit(3)", "os.kill(os.getpid(), 11)"])
def test_a_task_that_ends_its_process(ranks: int, call: str, write_program: WriteProgram) -> None:
    program = write_program(f"""
        import os, time
        import scoop_mpi
        from scoop_mpi import futures

        def end(x):
            time.sleep(0.1)
            if not scoop_mpi.IS_ORIGIN:
                {call}

        if __name__ == "__main__":
            list(futures.map(end, range(100)))
    """)
    launch(program, ranks=ranks, timeout=LIMIT).check(None)


@on_ranks(1, 2)
@pytest.mark.parametrize(
    ("code", "status"), [("7", 7), ("", 0), ("'so be it'", 1), ("None", 0), ("0", 0)]
)
@pytest.mark.parametrize(
    "call",
    [
        "list(futures.map(end, range(10)))",
        "futures.submit(end, 1).result()",
        "list(futures.map(lambda x: futures.submit(end, x).result(), range(10)))",
        "futures.mapReduce(end, max, range(10))",
    ],
    ids=["map", "submit", "nested", "mapReduce"],
)
def test_a_task_that_calls_sys_exit(
    call: str, code: str, status: int, ranks: int, write_program: WriteProgram
) -> None:
    program = write_program(f"""
        import sys, time
        from scoop_mpi import futures

        def end(x):
            time.sleep(0.01)
            sys.exit({code})

        if __name__ == "__main__":
            {call}
    """)
    run = launch(program, ranks=ranks, timeout=LIMIT).check(status)
    assert count(run, f"a task called sys.exit({code or None}), and the program ends by it") == 1
    assert "in end" in run.stderr
    assert (count(run, "so be it") > 1) == (status == 1)


@on_ranks(1, 2)
@pytest.mark.parametrize("where", ["in the program", "in an iterable", "caught"])
def test_an_exit_that_is_none_of_a_task_is_silent(
    where: str, ranks: int, write_program: WriteProgram
) -> None:
    program = write_program(f"""
        import sys
        from scoop_mpi import futures

        def end(x):
            sys.exit(5)

        def numbers():
            yield 1
            end(2)

        if __name__ == "__main__":
            if {where == "in an iterable"}:
                futures.map(abs, numbers())
            try:
                list(futures.map(end, range(3)))
            except SystemExit:
                end(1)
    """)
    run = launch(program, ranks=ranks, timeout=LIMIT).check(5)
    assert "sys.exit" not in run.stderr
    assert "Traceback" not in run.stderr  # Open MPI's mpiexec says something of its own


# ------------------------------------------------------------ signals


@on_ranks(2, 4)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_to_mpiexec(
    ranks: int, number: signal.Signals, write_program: WriteProgram
) -> None:
    with start(write_program(BUSY), ranks=ranks, timeout=LIMIT) as job:
        job.wait_for("working")
        job.send_signal(number)
        job.finish().check(None)


@on_ranks(2, 4)
def test_ctrl_c(ranks: int, write_program: WriteProgram) -> None:
    with start(write_program(BUSY), ranks=ranks, timeout=LIMIT) as job:
        job.wait_for("working")
        job.press_interrupt()
        job.finish().check(None)


@on_ranks(1, 2, 4)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("state", ["computes", "waits"])
def test_a_signal_to_the_root(
    ranks: int, number: signal.Signals, state: str, write_program: WriteProgram
) -> None:
    program = write_program(f"""
        import time
        from scoop_mpi import futures

        def work(x):
            time.sleep(300)

        if __name__ == "__main__":
            future = futures.submit(work, 1)
            if {state == "waits"}:
                while not future.running() and {ranks > 1}:
                    future.done()
            print("ready", flush=True)
            future.result() if {state == "waits"} else time.sleep(300)
    """)
    with start(program, ranks=ranks, timeout=LIMIT) as job:
        job.wait_for("ready")
        job.rank_process(0).send_signal(number)
        run = job.finish().check(None)
    if number == signal.SIGINT:
        assert count(run, "KeyboardInterrupt") == 1


@on_ranks(2)
def test_ctrl_c_while_the_end_waits_for_tasks(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        import time
        from scoop_mpi import futures

        def work():
            print("working", flush=True)
            time.sleep(300)

        if __name__ == "__main__":
            future = futures.submit(work)
            while not future.running():
                future.done()
            time.sleep(1)
            print("ending", flush=True)
    """)
    with start(program, ranks=ranks, timeout=LIMIT) as job:
        job.wait_for("working")
        job.wait_for("ending")
        job.wait_for("waits for what still runs")
        job.rank_process(0).send_signal(signal.SIGINT)
        job.finish().check(None)


# ------------------------------------------------------------ launchers


def test_worlds_of_one_are_refused(write_program: WriteProgram) -> None:
    program = write_program("print('ran')")
    step = {"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "0"}
    run = launch(program, ranks=None, env=step, timeout=LIMIT).check(2)
    assert run.stdout == ""
    assert "srun started 4 processes" in " ".join(run.stderr.split())
    assert ("--mpi=pmix" if uses_open_mpi() else "--mpi=pmi2") in run.stderr
    # "Open MPI", "MPICH" or "Intel(R) MPI": the first word is in no other part of the message.
    assert f"this MPI ({mpi_library().split()[0]}" in " ".join(run.stderr.split())


def test_not_started_properly(write_program: WriteProgram) -> None:
    program = write_program("""
        import warnings
        from scoop_mpi import NotStartedProperly, futures, shared

        if __name__ == "__main__":
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                print(list(futures.map(abs, [-1, -2])))
            print([warning.category.__name__ for warning in caught])
            for call in (
                lambda: futures.submit(abs, -1),
                lambda: futures.mapReduce(abs, max, [1]),
                lambda: futures.mapScan(abs, max, [1]),
                lambda: futures.map_as_completed(abs, [1]),
                lambda: futures.wait([]),
                lambda: futures.as_completed([]),
                lambda: shared.setConst(x=1),
                lambda: shared.getConst("x"),
            ):
                try:
                    call()
                except NotStartedProperly as error:
                    assert "python -m scoop_mpi -n 4 prog.py" in str(error)
                else:
                    raise AssertionError("it was taken")
    """)
    run = launch(program, ranks=None, python=(), timeout=LIMIT).check()
    assert run.stdout == "[1, 2]\n['RuntimeWarning']\n"


# ------------------------------------------------------------ what failed calls had


@on_ranks(1, 2)
@pytest.mark.parametrize(
    "use",
    [
        "list(futures.map(fail, range(10)))",
        "futures.submit(fail, 1).result()",
        "list(futures.map_as_completed(fail, range(10)))",
        "futures.mapReduce(fail, max, range(10))",
        "futures.mapScan(fail, max, range(10))",
        "list(futures.map(fail, range(10), buffersize=3))",
        "raise futures.submit(fail, 1).exception()",
        "raise futures.submit(fail, futures.submit(abs, 1)).exception()",
        "raise futures.wait([futures.submit(fail, 1)]).done.pop().exception()",
        "raise next(futures.as_completed([futures.submit(fail, 1)])).exception()",
        "polled(futures.submit(fail, 1)).result()",
        "futures.submit(futures.submit, fail, 1).result()",
        "list(futures.map(fail, [futures.submit(abs, 1), 2, 3]))",
        "list(futures.map(futures.submit, [fail] * 3, range(3)))",
    ],
    ids=[
        "map",
        "submit",
        "map_as_completed",
        "mapReduce",
        "mapScan",
        "buffersize",
        "exception",
        "dependency",
        "wait",
        "as_completed",
        "done",
        "returned",
        "map_of_futures",
        "map_to_futures",
    ],
)
def test_what_a_failed_call_had_is_let_go_of_with_its_error(
    use: str, ranks: int, write_program: WriteProgram
) -> None:
    """At once, not only when Python looks for cycles: it may be large."""
    program = write_program(f"""
        import gc
        import weakref
        from scoop_mpi import futures

        gc.disable()

        class Large:
            pass

        alive = weakref.WeakSet()

        def fail(x):
            large = Large()
            alive.add(large)
            raise ValueError(x)

        def polled(future):
            try:
                while not future.done():
                    pass
                return future
            finally:
                del future  # else the error would hold it by this very frame

        def use():
            try:
                {use}
            except ValueError:
                return 1

        if __name__ == "__main__":
            assert sum(use() for _ in range(20)) == 20
            print(len(alive))
    """)
    run = launch(program, ranks=ranks, timeout=LIMIT).check()
    # What the last one had may go with whatever this rank does next.
    assert int(run.stdout) <= 10
