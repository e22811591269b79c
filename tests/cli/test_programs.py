"""What can be run: whatever Python itself runs, with the same meaning, on every rank."""

from __future__ import annotations

import os
import py_compile
import zipapp
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.launch import launch, on_ranks, uses_open_mpi

WriteProgram = Callable[..., Path]

# Seconds in which a job must have ended; one that hangs runs into it.
LIMIT = 60.0

PROGRAM = """
    import sys
    from scoop_mpi import futures

    class Box:
        def __init__(self, value):
            self.value = value

    def put(value):
        return Box(value)

    if __name__ == "__main__":
        def guarded(value):
            return value + 1

        boxes = list(futures.map(put, range(300)))
        assert all(type(box) is Box for box in boxes)
        print(sum(box.value for box in boxes), sum(futures.map(guarded, range(300))), sys.argv[1:])
"""
PRINTS = "44850 45150 ['an argument']\n"


def write_archive(folder: Path) -> Path:
    """Write a zip file with the program in it, as its main module and as another."""
    program = folder / "program.py"
    with zipfile.ZipFile(folder / "archive.zip", "w") as archive:
        archive.write(program, "__main__.py")
        archive.write(program, "inside.py")
        archive.write(program, "package/__main__.py")
        archive.writestr("package/__init__.py", "")
    return folder / "archive.zip"


@on_ranks(1, 2)
@pytest.mark.parametrize("kind", ["script", "compiled", "folder", "zip", "module", "code"])
def test_each_kind_of_program(
    kind: str, ranks: int, write_program: WriteProgram, tmp_path: Path
) -> None:
    script = write_program(PROGRAM)
    compiled, main_file = tmp_path / "compiled.pyc", tmp_path / "folder" / "__main__.py"
    py_compile.compile(str(script), str(compiled), doraise=True)
    main_file.parent.mkdir()
    main_file.write_text(script.read_text())
    words: dict[str, list[str | Path]] = {
        "script": [script],
        "compiled": [compiled],
        "folder": [main_file.parent],
        "zip": [write_archive(tmp_path)],
        "module": ["-p", tmp_path, "-m", "program"],  # found in the folder that -p names
        "code": ["-c", script.read_text()],
    }
    assert launch(*words[kind], "an argument", ranks=ranks, timeout=LIMIT).check().stdout == PRINTS


@on_ranks(2)
@pytest.mark.parametrize("module", ["inside", "package"])
def test_a_module_within_a_zip_file(
    module: str, ranks: int, write_program: WriteProgram, tmp_path: Path
) -> None:
    write_program(PROGRAM)
    search = ("--pythonpath", write_archive(tmp_path))
    run = launch(*search, "-m", module, "an argument", ranks=ranks, timeout=LIMIT).check()
    assert run.stdout == PRINTS


@on_ranks(2)
def test_an_application_that_zipapp_has_made(
    ranks: int, write_program: WriteProgram, tmp_path: Path
) -> None:
    (tmp_path / "source").mkdir()
    write_program(
        PROGRAM.replace('if __name__ == "__main__":', "def main():"), "source/application.py"
    )
    archive = tmp_path / "application.pyz"
    zipapp.create_archive(tmp_path / "source", archive, main="application:main")
    assert launch(archive, "an argument", ranks=ranks, timeout=LIMIT).check().stdout == PRINTS


@on_ranks(1, 2)
def test_a_traceback_from_within_a_zip_file(ranks: int, tmp_path: Path) -> None:
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("__main__.py", "def f():\n    1 / 0  # this line\nf()\n")
    shown = launch(archive, ranks=ranks, timeout=LIMIT).check(1).stderr
    wanted = launch(archive, ranks=None, python=(), timeout=LIMIT).check(1).stderr
    first, own_way = wanted.splitlines(keepends=True)[0], f'  File "{archive}'
    assert shown.startswith(first + wanted[wanted.index(own_way) :])  # Open MPI's has more to say


@on_ranks(1, 2)
@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_nothing_to_run_in_it(kind: str, ranks: int, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with zipfile.ZipFile(tmp_path / "zip", "w") as archive:
        archive.writestr("other.py", "")
    run = launch(tmp_path / kind, ranks=ranks, timeout=LIMIT).check(2)
    assert run.stderr.count("can't find a module __main__ in") == 1
    assert "Traceback" not in run.stderr


@on_ranks(1, 2)
def test_a_program_that_comes_by_standard_input(ranks: int, write_program: WriteProgram) -> None:
    # Larger than a pipe holds, and than what the operating system takes as an argument.
    program = write_program(PROGRAM)
    program.write_text(program.read_text() + "# and so on\n" * 20_000)
    shell = ("sh", "-c", f'exec "$@" < {program}', "sh")
    run = launch("-n", str(ranks), "-", "an argument", launcher=shell, timeout=LIMIT).check()
    assert (run.stdout, run.stderr) == (PRINTS, "")


def test_a_program_that_is_too_large_to_be_handed_on(write_program: WriteProgram) -> None:
    program = write_program(f"text = {os.urandom(60_000).hex()!r}")
    shell = ("sh", "-c", f'exec "$@" < {program}', "sh")
    # To other hosts mpiexec passes it on, as far as anybody knows.
    hosts = ("--host", "localhost", "localhost")
    run = launch(*hosts, "-", launcher=shell, timeout=LIMIT).check(2)
    assert "too large to be handed on" in run.stderr


@on_ranks(2, 3)
def test_a_program_that_a_launcher_passes_on(ranks: int, write_program: WriteProgram) -> None:
    if uses_open_mpi():
        pytest.skip("Open MPI's mpiexec never tells that the input has ended")
    typed = write_program(PROGRAM).read_text()
    run = launch("-", "an argument", ranks=ranks, typed=typed, timeout=LIMIT).check()
    assert run.stdout == PRINTS


@on_ranks(1, 2)
def test_the_programs_module_is_what_python_makes_it(
    ranks: int, write_program: WriteProgram
) -> None:
    program = write_program("""
        import builtins, sys, types
        from scoop_mpi import futures

        def look(_):
            assert __builtins__ is builtins, type(__builtins__)
            assert sys.modules["__main__"].__dict__ is globals()
            return look.__module__, type(__loader__).__name__

        if __name__ == "__main__":
            print(set(futures.map(look, range(200))))
    """)
    run = launch(program, ranks=ranks, timeout=LIMIT).check()
    assert run.stdout == "{('__main__', 'SourceFileLoader')}\n"


# ------------------------------------------------------------ standard input


@on_ranks(1, 2)
def test_cycles_are_collected_from_the_programs_first_line(
    ranks: int, write_program: WriteProgram
) -> None:
    program = write_program("""
        import gc

        assert gc.isenabled()

        from scoop_mpi import futures

        def is_enabled(_):
            return gc.isenabled()

        if __name__ == "__main__":
            print(all(futures.map(is_enabled, range(100))))
    """)
    assert launch(program, ranks=ranks).check().stdout == "True\n"


@on_ranks(1, 2, 3)
def test_a_worker_that_asks_for_input(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        from scoop_mpi import futures

        text = input()
        if __name__ == "__main__":
            print(text)
    """)
    typed = "some text\n"
    run = launch(program, ranks=ranks, typed=typed, timeout=LIMIT).check(1 if ranks > 1 else 0)
    if ranks == 1:
        assert run.stdout == typed
        return
    assert run.stderr.count("EOFError: EOF when reading a line") == 1
    assert run.stderr.count("asked for input outside the main guard") == 1


@on_ranks(2)
def test_a_root_that_waits_for_input_meanwhile(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        import time
        import scoop_mpi

        if scoop_mpi.IS_ORIGIN:
            time.sleep(300)  # as it waits where nobody types
        input()
    """)
    run = launch(program, ranks=ranks, typed="", timeout=LIMIT).check(1)
    assert run.stderr.count("asked for input outside the main guard") == 1


@on_ranks(2)
def test_a_worker_has_an_empty_standard_input(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        import subprocess, sys
        import scoop_mpi
        from scoop_mpi import futures

        def read(how):
            if how == "python":
                return sys.stdin.read()
            return subprocess.run(["cat"], capture_output=True, text=True).stdout

        if __name__ == "__main__":
            fs = [futures.submit(read, how) for how in ("python", "cat")]
            while not all(future.running() or future.done() for future in fs):
                fs[0].done()  # until another rank has both
            print([future.result() for future in fs], sys.stdin.readline())
    """)
    run = launch(program, ranks=ranks, typed="for the root\n", timeout=LIMIT).check()
    assert run.stdout == "['', ''] for the root\n\n"
