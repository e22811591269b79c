"""How Python ends a program: the same as without scoop_mpi, to the order of what is printed."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from tests.launch import ROOT, TIMEOUT

ENDED_BY_US = """
from scoop_mpi.job import ending
have_ended = ending.start_to_end_threads()
while not have_ended():
    time.sleep(0.001)
ending.call_exit_functions()
"""

PROGRAMS = {
    "nothing": "",
    "registered functions": """
        for number in range(3):
            threading._register_atexit(print, "registered", number)
            atexit.register(print, "exit function", number)
    """,
    "a thread that waits for the main one": """
        def wait():
            main = threading.main_thread()
            main.join()
            print(main.is_alive(), main is threading.main_thread())
        threading.Thread(target=wait).start()
    """,
    "a registered function that raises": """
        threading._register_atexit(print, "the first and so the last")
        threading._register_atexit([].index, 1)
        atexit.register(print, "exit function")
    """,
    "an exit function that raises": """
        atexit.register(print, "the last")
        atexit.register(lambda: sys.exit(4))
    """,
    "a pool of threads": """
        from concurrent.futures import ThreadPoolExecutor
        pool = ThreadPoolExecutor(1)
        for number in range(5):
            pool.submit(print, number)
        atexit.register(print, "exit function")
    """,
    "a pool of processes": """
        from concurrent.futures import ProcessPoolExecutor
        pool = ProcessPoolExecutor(1)
        for number in range(5):
            pool.submit(print, number, flush=True)
        atexit.register(print, "exit function")
    """,
}

# What starts something while the program ends, and what that prints. With us it runs under each
# version; Python 3.12 refuses it ("can't create new thread at interpreter shutdown").
STARTING = {
    "a thread that another one starts": (
        """
        def start(number):
            time.sleep(0.01)
            if number:
                threading.Thread(target=start, args=(number - 1,)).start()
            print(number)
        start(3)
    """,
        "3\n2\n1\n0\n",
    ),
    "a child that is forked by a thread": (
        """
        import multiprocessing
        def fork():
            threading.main_thread().join()
            child = multiprocessing.get_context("fork").Process(
                target=lambda: print(threading.main_thread().is_alive(), flush=True)
            )
            child.start()
            child.join()
            print(child.exitcode)
        threading.Thread(target=fork).start()
    """,
        "True\n0\n",
    ),
}


def output_of(program: str) -> tuple[int, str, int]:
    """Run a program; return its status, its output, and the number of errors it has reported."""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    return run.returncode, run.stdout, run.stderr.count("Traceback")


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_ends_as_without_us(name: str) -> None:
    program = "import atexit, sys, threading, time\n" + textwrap.dedent(PROGRAMS[name])
    assert output_of(program + ENDED_BY_US) == output_of(program)


@pytest.mark.parametrize("name", STARTING)
def test_what_a_program_starts_while_it_ends(name: str) -> None:
    text, printed = STARTING[name]
    program = "import atexit, sys, threading, time\n" + textwrap.dedent(text)
    assert output_of(program + ENDED_BY_US) == (0, printed, 0)
    if sys.version_info[:2] != (3, 12):
        assert output_of(program) == (0, printed, 0)
