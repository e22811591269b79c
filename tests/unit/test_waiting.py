"""Threads that wait hear of whatever happens after they have looked."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from scoop_mpi import futures
from scoop_mpi.engine.hub import Hub
from scoop_mpi.engine.waiting import ThreadWaiter, WaitingThreads


def waiting(hub: Hub, threads: WaitingThreads, news: int | None) -> ThreadWaiter:
    return ThreadWaiter(hub.runtime, hub.threads.turns, threads, lambda: None, news=news)


def test_what_came_before_it_blocks_is_heard_of(hub: Hub) -> None:
    threads = WaitingThreads()
    looked = threads.news
    threads.notify_all()
    waiter = waiting(hub, threads, looked)
    assert waiter.wait(hub.runtime.clock() + 60)


def test_what_came_before_it_looked_is_not(hub: Hub) -> None:
    threads = WaitingThreads()
    threads.notify_all()
    assert not waiting(hub, threads, None).wait(hub.runtime.clock())
    waiter = waiting(hub, threads, threads.news)
    assert not waiter.wait(hub.runtime.clock())
    threads.notify_all()
    assert waiter.wait(hub.runtime.clock() + 60)
    assert not waiter.wait(hub.runtime.clock())
    assert not threads


def test_a_thread_that_is_blocked_is_woken(hub: Hub) -> None:
    threads = WaitingThreads()
    with ThreadPoolExecutor(1) as executor:
        woken = executor.submit(lambda: waiting(hub, threads, None).wait(None))
        while not threads:
            pass
        threads.notify_all()
        assert woken.result(60)


def test_a_call_that_becomes_ready_between_look_and_wait(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One thread makes it ready, for another that has just looked whether it is."""
    has_looked, has_come = threading.Event(), threading.Event()
    wait = ThreadWaiter.wait

    def wait_a_moment_later(waiter: ThreadWaiter, _: float | None) -> bool:
        has_looked.set()
        has_come.wait(60)
        return wait(waiter, hub.runtime.clock() + 10)

    monkeypatch.setattr(ThreadWaiter, "wait", wait_a_moment_later)
    with ThreadPoolExecutor(1) as executor:
        first = executor.submit(futures.submit, abs, -1).result(60)
        last = executor.submit(futures.submit, abs, first).result(60)
        assert hub.claim(first)
        outcome = executor.submit(last.result)
        has_looked.wait(60)
        first.complete(1, None)
        hub.runtime.worker.queues.enqueue_due()
        has_come.set()
        assert outcome.result(60) == 1
