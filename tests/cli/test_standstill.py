"""The main thread joins a thread that waits for a task of the main thread's: it is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.launch import launch, on_ranks

WriteProgram = Callable[..., Path]


@on_ranks(1)
def test_what_cant_go_on_is_said_once(ranks: int, write_program: WriteProgram) -> None:
    """Two threads run tasks of their own; one that the main thread begins waits for one of them."""
    program = write_program("""
        import threading, time
        from scoop_mpi import futures

        naps = {}

        def nap(seconds):
            time.sleep(seconds)
            return seconds

        def run(seconds):
            naps[seconds] = futures.submit(nap, seconds)
            naps[seconds].result()

        def suspended():
            return naps[1.5].result() + 1

        if __name__ == "__main__":
            threads = [threading.Thread(target=run, args=(seconds,)) for seconds in (1.5, 0.5)]
            for thread in threads:
                thread.start()
            while not (len(naps) == 2 and all(nap.running() for nap in naps.values())):
                time.sleep(0.01)
            future = futures.submit(suspended)
            naps[0.5].result()  # suspended begins meanwhile
            thread = threading.Thread(target=future.result, name="joiner")
            thread.start()
            thread.join(13)
            assert thread.is_alive()
            assert future.result() == 2.5
            thread.join()
            print("right")
    """)
    run = launch(program, ranks=ranks, timeout=60).check()
    assert run.stdout == "right\n"
    warning = " ".join(run.stderr.split())
    assert warning.count("Nothing can go on") == 1
    assert "the main thread has been at " in warning
    assert ": thread.join(13)" in warning
    assert "the thread joiner waits, at " in warning
    assert "for a task of suspended" in warning


@on_ranks(2)
def test_what_only_takes_long_is_not(ranks: int, write_program: WriteProgram) -> None:
    """A thread waits for a task that computes in the main thread."""
    program = write_program("""
        import threading, time
        from scoop_mpi import futures

        def long():
            time.sleep(12)
            return 1

        if __name__ == "__main__":
            future = futures.submit(long)
            thread = threading.Thread(target=future.result)
            thread.start()
            assert future.result() == 1
            thread.join()
            print("right")
    """)
    run = launch(program, ranks=ranks, timeout=60).check()
    assert run.stdout == "right\n"
