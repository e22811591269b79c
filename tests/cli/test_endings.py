"""How jobs end: with closed streams, odd exits and broken hooks, as Python alone would end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.launch import launch, on_ranks, start

WriteProgram = Callable[..., Path]

# Seconds in which a job must have ended; one that hangs runs into it.
LIMIT = 60.0

# ------------------------------------------------------------ closed standard streams

CLOSED = [">&-", "2>&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"]


@pytest.mark.parametrize("closed", CLOSED)
@pytest.mark.parametrize(("ending", "status"), [("pass", 0), ("1 / 0", 1)])
@on_ranks(1, 2)
def test_streams_that_are_closed(
    closed: str, ending: str, status: int, ranks: int, write_program: WriteProgram, tmp_path: Path
) -> None:
    program = write_program(f"""
        import sys
        from scoop_mpi import futures

        def work(x):
            print("printed by a task", flush=True)
            return x

        if __name__ == "__main__":
            print("printed")
            print("logged", file=sys.stderr or open("lost", "w"))
            total = sum(futures.map(work, range(50)))
            with open("result", "w") as file:
                file.write(str(total))
            {ending}
    """)
    shell = ("sh", "-c", f'exec "$@" {closed}', "sh")
    started = launch("-n", str(ranks), program, launcher=shell, cwd=tmp_path, timeout=LIMIT)
    run = started.check(status)
    assert (tmp_path / "result").read_text() == str(sum(range(50)))
    has_stdout = not any(word == ">&-" for word in closed.split())
    assert ("printed\n" in run.stdout) == has_stdout
    if "2>&-" in closed:
        assert run.stderr == ""
    elif status:
        assert "ZeroDivisionError" in run.stderr


@on_ranks(1, 2)
@pytest.mark.parametrize(
    "closing", ["sys.stdout = None", "sys.stderr = None", "sys.stdin = None", "sys.stdin.close()"]
)
def test_streams_that_the_program_takes_away(
    closing: str, ranks: int, write_program: WriteProgram
) -> None:
    program = write_program(f"""
        import sys
        from scoop_mpi import futures

        {closing}

        if __name__ == "__main__":
            assert sum(futures.map(abs, range(-9, 1))) == 45
            sys.exit(4)
    """)
    launch(program, ranks=ranks, timeout=LIMIT).check(4)


# ------------------------------------------------------------ exits and hooks


@on_ranks(1, 2)
@pytest.mark.parametrize(
    ("ending", "status", "stderr"),
    [
        ("sys.exit(2**70)", 255, ""),
        ("sys.exit(-1)", 255, ""),
        ("sys.exit(True)", 1, ""),
        ("sys.stderr = None; sys.exit('text')", 1, "text\n"),
        ("sys.excepthook = lambda *_: sys.exit(6); 1 / 0", 6, ""),
        (
            "sys.excepthook = lambda kind, *_: print(kind.__name__, file=sys.stderr); 1 / 0",
            1,
            "Zero",
        ),
        ("sys.excepthook = lambda *_: {}['hook']; 1 / 0", 1, "Error in sys.excepthook:\n"),
        ("sys.excepthook = None; 1 / 0", 1, "Error in sys.excepthook:\n"),
        ("del sys.excepthook; 1 / 0", 1, "sys.excepthook is missing\n"),
    ],
)
def test_an_odd_end(
    ending: str, status: int, stderr: str, ranks: int, write_program: WriteProgram
) -> None:
    program = write_program(f"""
        import sys
        from scoop_mpi import futures

        if __name__ == "__main__":
            assert sum(futures.map(abs, range(-9, 1))) == 45
            print("at the end")
            {ending}
    """)
    run = launch(program, ranks=ranks, timeout=LIMIT).check(status)
    assert run.stdout == "at the end\n"
    assert run.stderr.startswith(stderr)
    if not stderr:
        assert "Traceback" not in run.stderr  # Open MPI's mpiexec has words of its own
    assert "scoop_mpi/" not in run.stderr


# ------------------------------------------------------------ tracebacks


@on_ranks(2)
def test_the_traceback_of_futures_at_import_shows_the_program_alone(
    ranks: int, write_program: WriteProgram
) -> None:
    program = write_program("""
        from scoop_mpi import futures

        def start():
            return futures.map(abs, [1])

        list(start())
    """)
    run = launch(program, ranks=ranks, timeout=LIMIT).check(1)
    assert run.stderr.count('File "') == 2
    assert "return futures.map(abs, [1])" in run.stderr
    assert "met futures outside the main guard" in run.stderr


@on_ranks(1, 2)
@pytest.mark.parametrize(
    "waiting",
    [
        "list(futures.map(work, range(50)))",
        "futures.submit(work, 1).result()",
        "futures.wait([futures.submit(work, 1)])",
        "list(futures.as_completed([futures.submit(work, 1)]))",
        "futures.mapReduce(work, max, range(50))",
    ],
)
def test_the_traceback_of_ctrl_c_shows_the_program_alone(
    waiting: str, ranks: int, write_program: WriteProgram
) -> None:
    program = write_program(f"""
        import time
        from scoop_mpi import futures

        def work(x):
            print("working", flush=True)
            time.sleep(300)

        if __name__ == "__main__":
            {waiting}
    """)
    with start(program, ranks=ranks, timeout=LIMIT) as job:
        job.wait_for("working")
        job.rank_process(0).send_signal(2)
        run = job.finish().check(None)
    traceback = run.stderr[run.stderr.index("Traceback") : run.stderr.index("KeyboardInterrupt")]
    assert "futures." in traceback
    assert traceback.count('File "') == traceback.count(f'File "{program}"')


@on_ranks(1, 2)
@pytest.mark.parametrize("error", ["TimeoutError", "SerializationError", "CancelledError"])
def test_tracebacks_of_our_own_errors(error: str, ranks: int, write_program: WriteProgram) -> None:
    program = write_program(f"""
        import time
        from scoop_mpi import futures, shared

        def work(x):
            time.sleep(x)

        if __name__ == "__main__":
            match "{error}":
                case "TimeoutError":
                    future = futures.submit(work, 0.2)
                    future.result(timeout=0)
                case "SerializationError":
                    shared.setConst(x=(i for i in ()))
                case "CancelledError":
                    future = futures.submit(work, 0.2)
                    future.cancel()
                    future.result()
    """)
    run = launch(program, ranks=ranks, timeout=LIMIT).check(1)
    assert error in run.stderr
    assert "scoop_mpi/" not in run.stderr
