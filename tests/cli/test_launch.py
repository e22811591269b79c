"""The harness itself, on plain mpi4py programs: it must see what it is there to catch."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.launch import MARK, JobTimedOut, is_alive, launch, on_ranks, start

WriteProgram = Callable[..., Path]

HELLO = """
    import sys
    from mpi4py import MPI

    world = MPI.COMM_WORLD
    world.Barrier()
    print(f"rank {world.rank} of {world.size}: {sys.argv[1:]}")
"""

HANGING = """
    import time
    from mpi4py import MPI

    def wait_forever():
        while True:
            time.sleep(60)

    MPI.COMM_WORLD.Barrier()
    print("waiting", flush=True)
    wait_forever()
"""


@on_ranks(1, 3)
def test_a_run_has_the_output_and_status_of_all_ranks(
    write_program: WriteProgram, ranks: int
) -> None:
    run = launch(write_program(HELLO), "an argument", ranks=ranks, python=()).check()
    lines = [f"rank {rank} of {ranks}: ['an argument']" for rank in range(ranks)]
    assert sorted(run.stdout.splitlines()) == lines
    assert run.seconds > 0


def test_a_program_can_run_without_mpiexec() -> None:
    run = launch("-c", "import sys; sys.exit('no')", ranks=None, python=()).check(status=1)
    assert run.stderr.strip() == "no"


def test_a_failure_is_shown_with_all_output(write_program: WriteProgram) -> None:
    program = write_program(HELLO + "    raise SystemExit(3)\n")
    run = launch(program, ranks=2, python=())
    with pytest.raises(pytest.fail.Exception, match=r"(?s)exit status 0.*exit status 3.*rank 1 of"):
        run.check()
    run.check(status=3).check(status=None)


def test_a_job_that_hangs_shows_the_stacks_of_all_ranks_and_is_killed(
    write_program: WriteProgram,
) -> None:
    ranks = 4
    job = start(write_program(HANGING), ranks=ranks, python=(), timeout=5)
    with job:
        job.wait_for("waiting")
        processes = job.processes()
        with pytest.raises(JobTimedOut) as caught:
            job.finish()
    assert caught.value.run.stderr.count("in wait_forever") == ranks
    assert caught.value.run.stdout.count("waiting") == ranks
    assert not any(is_alive(process) for process in processes)


def test_a_job_left_early_is_killed(write_program: WriteProgram) -> None:
    with start(write_program(HANGING), ranks=2, python=()) as job:
        job.wait_for("waiting")
        processes = job.processes()
        assert len(processes) > 2
    assert not any(is_alive(process) for process in processes)


def test_a_process_left_behind_is_reported_and_killed(write_program: WriteProgram) -> None:
    program = write_program("""
        import subprocess, sys

        sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
        child = subprocess.Popen(sleep, start_new_session=True)
        print(child.pid)
    """)
    run = launch(program, ranks=None, python=())
    with pytest.raises(pytest.fail.Exception, match=r"not all processes ended(?s:.*)time\.sleep"):
        run.check()
    alive = [process.pid for process in psutil.process_iter() if is_alive(process)]
    assert int(run.stdout) not in alive


def test_a_rank_can_be_found_and_killed(write_program: WriteProgram) -> None:
    with start(write_program(HANGING), ranks=3, python=()) as job:
        job.wait_for("waiting")
        victim = job.rank_process(1)
        victim.kill()
        job.finish().check(status=None)
        assert not is_alive(victim)


def test_the_interrupt_key_ends_a_job(write_program: WriteProgram) -> None:
    with start(write_program(HANGING), ranks=2, python=()) as job:
        job.wait_for("waiting")
        job.press_interrupt()
        job.finish().check(status=None)


def test_a_signal_goes_to_mpiexec(write_program: WriteProgram) -> None:
    with start(write_program(HANGING), ranks=2, python=()) as job:
        job.wait_for("waiting")
        job.send_signal(signal.SIGTERM)
        job.finish().check(status=None)


def test_waiting_for_words_that_never_come_fails_when_the_job_ends() -> None:
    began = time.monotonic()
    shown = pytest.raises(AssertionError, match=r"without writing 'ready'(?s:.*)something else")
    with start("-c", "print('something else')", ranks=None, python=()) as job, shown:
        job.wait_for("ready")
    assert time.monotonic() - began < 30


def test_the_environment_of_a_job_can_be_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAKEN_OUT", "yes")
    show = f"import os; print(*(name in os.environ for name in ('TAKEN_OUT', 'PUT_IN', '{MARK}')))"
    changes = {"TAKEN_OUT": None, "PUT_IN": "yes"}
    run = launch("-c", show, ranks=None, python=(), env=changes).check()
    assert run.stdout.split() == ["False", "True", "True"]
