"""Whether the program has other threads: noted when it starts the first, in whatever way."""

from __future__ import annotations

import _thread
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, cast

import pytest

from scoop_mpi.engine import first_thread


def start_thread() -> None:
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()


def start_by_hand() -> None:
    done = threading.Event()
    _thread.start_new_thread(done.set, ())
    done.wait()


def start_pool() -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()


class Own(threading.Thread):
    def start(self) -> None:
        super().start()


def start_own() -> None:
    own = Own(target=int)
    own.start()
    own.join()


@pytest.mark.parametrize("start", [start_thread, start_by_hand, start_pool, start_own])
def test_the_first_thread_is_noted(start: Callable[[], None]) -> None:
    before = threading.Thread.start, _thread.start_new_thread
    hub: Any = SimpleNamespace(is_alone=False)
    first_thread.expect(cast(Any, hub))
    assert hub.is_alone
    start()
    assert not hub.is_alone
    assert (threading.Thread.start, _thread.start_new_thread) == before
