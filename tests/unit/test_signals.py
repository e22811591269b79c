"""The gate of signals: handlers run once, and where they do no harm."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from scoop_mpi.engine.signals import KNOCK, Gate
from scoop_mpi.tasks.future import Future

NUMBER = signal.SIGUSR1


class Job:
    """A rank whose state may be amid a change."""

    def __init__(self) -> None:
        self.is_amid_change = False
        self.rung = 0
        self.seen: list[int] = []
        calls = (Future.result, Future.run)
        self.gate = Gate(lambda: self.is_amid_change, self.ring, calls)

    def ring(self) -> None:
        self.rung += 1

    def handle(self, number: int, _: object) -> None:
        self.seen.append(number)

    def knock(self) -> None:
        """Do as the pump does, in its own thread."""
        pump = threading.Thread(target=self.gate.knock)
        pump.start()
        pump.join()

    def send(self) -> None:
        os.kill(os.getpid(), NUMBER)


@pytest.fixture
def job() -> Iterator[Job]:
    before = signal.getsignal(NUMBER)
    job = Job()
    job.gate.install()
    signal.signal(NUMBER, job.handle)
    yield job
    job.gate.open()
    signal.signal(NUMBER, before)


def test_a_handler_runs_at_once_amid_the_programs_own_lines(job: Job) -> None:
    job.send()
    assert job.seen == [NUMBER]
    assert not job.rung


def test_a_handler_waits_for_a_change_to_end(job: Job) -> None:
    job.is_amid_change = True
    job.send()
    job.send()
    assert job.seen == []
    assert job.rung == 2
    job.is_amid_change = False
    job.gate.attend()
    assert job.seen == [NUMBER]
    job.gate.attend()
    assert job.seen == [NUMBER]


def test_the_pump_has_it_run_later(job: Job) -> None:
    job.is_amid_change = True
    job.send()
    job.knock()
    assert job.seen == []
    job.is_amid_change = False
    job.knock()
    assert job.seen == [NUMBER]
    job.knock()
    job.send()
    assert job.seen == [NUMBER] * 2


def test_one_that_has_run_meanwhile_does_not_run_again(job: Job) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {KNOCK})
    try:
        job.gate.pending[NUMBER] = job.handle
        job.knock()
        job.gate.attend()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {KNOCK})
    assert job.seen == [NUMBER]
    job.send()
    assert job.seen == [NUMBER] * 2


def test_one_that_comes_from_outside_amid_a_knock_is_told_from_it(job: Job) -> None:
    """A knock that comes late neither runs a handler again, nor takes another signal away."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {KNOCK})
    try:
        job.is_amid_change = True
        job.send()
        job.knock()
        job.is_amid_change = False
        job.send()
        assert job.seen == [NUMBER]
        job.send()
        assert job.seen == [NUMBER] * 2
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {KNOCK})
    assert job.seen == [NUMBER] * 2


def test_the_program_may_use_the_signal_of_the_knocks(job: Job) -> None:
    found = []
    assert signal.getsignal(KNOCK) is signal.SIG_DFL
    assert signal.signal(KNOCK, lambda number, _: found.append(number)) is signal.SIG_DFL
    os.kill(os.getpid(), KNOCK)
    assert found == [KNOCK]
    job.is_amid_change = True
    os.kill(os.getpid(), KNOCK)
    job.send()
    assert found == [KNOCK]
    job.is_amid_change = False
    job.knock()
    assert found == [KNOCK] * 2
    assert job.seen == [NUMBER]
    signal.signal(KNOCK, signal.SIG_IGN)
    assert signal.getsignal(KNOCK) is signal.SIG_IGN
    job.is_amid_change = True
    job.send()
    job.is_amid_change = False
    job.knock()
    assert job.seen == [NUMBER] * 2
    job.gate.open()
    assert signal.getsignal(KNOCK) is signal.SIG_IGN
    signal.signal(KNOCK, signal.SIG_DFL)


def test_the_program_finds_its_own_handlers(job: Job) -> None:
    assert signal.getsignal(NUMBER) == job.handle
    assert signal.signal(NUMBER, signal.SIG_IGN) == job.handle
    assert signal.getsignal(NUMBER) is signal.SIG_IGN
    assert signal.signal(NUMBER, signal.SIG_DFL) is signal.SIG_IGN
    with pytest.raises(TypeError):
        signal.signal(NUMBER, "no handler")  # type: ignore[arg-type]


@pytest.mark.parametrize("make_call", [lambda f: f.result, lambda f: f.run], ids=["result", "run"])
def test_a_c_function_that_a_task_calls_can_be_interrupted(
    job: Job, make_call: Callable[[Future], Callable[[], Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hub:
        depth, depth_limit = 0, 9

        def __init__(self, future: Future) -> None:
            self.ready = {future: None}

    future = Future.of(os.kill, (os.getpid(), NUMBER))
    monkeypatch.setattr("scoop_mpi.current.hub", Hub(future))
    make_call(future)()
    assert job.seen == [NUMBER]


def test_amid_lines_of_ours_it_waits(job: Job) -> None:
    code = compile("send()", sys.modules["scoop_mpi.engine.signals"].__file__ or "", "exec")
    exec(code, {"send": lambda: os.kill(os.getpid(), NUMBER)})
    assert job.seen == [NUMBER]  # the innermost line is this one
    exec(
        compile("kill(pid, number)", code.co_filename, "exec"),
        {
            "kill": os.kill,
            "pid": os.getpid(),
            "number": NUMBER,
        },
    )
    assert job.seen == [NUMBER]
    job.gate.attend()
    assert job.seen == [NUMBER] * 2
