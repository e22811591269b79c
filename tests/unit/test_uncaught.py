"""What is printed of a program's end, and its status: what Python itself prints and returns.

Each program is run by Python, and by a process that does with it what the root does.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# As `rank` does it: run the program, and report what it raises.
AS_THE_ROOT = """
import os, sys
from scoop_mpi.job import uncaught
from scoop_mpi.job.program import Program
status = 0
try:
    Program("script", sys.argv[1]).run()
except BaseException as error:
    raised = error.with_traceback(error.__traceback__.tb_next)
    status = None
if status is None:
    status = uncaught.report(raised)
try:
    sys.stdout.flush()
finally:
    os._exit(status)
"""
ROOT = Path(__file__).resolve().parents[2]
# What Python 3.12 says last of the errors in the exits below that it has met and left.
LATE_COMPLAINTS = (
    "OverflowError: Python int too large to convert to C long\n",
    "ZeroDivisionError: division by zero\n",
)


def outcome(*command: str) -> tuple[int, str, str]:
    run = subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return run.returncode, run.stdout, run.stderr


def ends_as_with_python(source: str, folder: Path) -> tuple[int, str, str]:
    """Return how the program ends, which is the same in both ways."""
    program = folder / "program.py"
    program.write_text(source)
    status, stdout, stderr = outcome(str(program))
    found = outcome("-c", AS_THE_ROOT, str(program))
    # Python 3.12 and 3.13 go on to complain, later, of what they have met while they ended.
    stderr = stderr.partition("Exception ignored on threading shutdown")[0]
    if sys.version_info[:2] == (3, 12) and stderr.endswith(LATE_COMPLAINTS):
        stderr = stderr[: len(found[2])]
    assert found == (status, stdout, stderr)
    return found


EXITS = [
    *("sys.exit()", "sys.exit(0)", "sys.exit(3)", "sys.exit(-1)", "sys.exit(256 + 4)"),
    *("sys.exit(2**70)", "sys.exit(-2**63)", "sys.exit(2**63)", "sys.exit(2**32 + 5)"),
    *("sys.exit(True)", "sys.exit(1.5)", "sys.exit('text')", "sys.exit(('a', 2))", "sys.exit('')"),
    *("sys.exit(b'')", "raise SystemExit(1, 2)", "sys.exit('\\ud800')", "exit(7)", "quit('q')"),
    "sys.stderr = None; sys.exit('text')",
    "del sys.stderr; sys.exit('text')",
    "sys.stderr.close(); sys.exit(9)",
    "sys.exit(type('Mute', (), {'__str__': lambda self: 1 / 0})())",
    "class Many(int):\n    def __int__(self): return 8\n    __index__ = __int__\nsys.exit(Many(2))",
    "class Own(SystemExit):\n    code = property(lambda self: 1 / 0)\nraise Own(2)",
    "class Own(SystemExit):\n    code = 5\nraise Own(2)",
]


@pytest.mark.parametrize("ending", EXITS)
def test_an_exit(ending: str, tmp_path: Path) -> None:
    ends_as_with_python(f"import sys\nprint('begins')\n{ending}\n", tmp_path)


def test_an_exit_with_stderr_that_fails_is_told_all_the_same(tmp_path: Path) -> None:
    source = "import sys\nclass Broken:\n    def write(self, text): raise OSError\n"
    program = tmp_path / "program.py"
    program.write_text(source + "sys.stderr = Broken()\nsys.exit('text')\n")
    status, _, stderr = outcome("-c", AS_THE_ROOT, str(program))
    assert (status, stderr) == (1, "text\n")  # Python prints the end of the line alone


HOOKS = [
    "sys.excepthook = lambda *_: print('hooked', *(type(thing).__name__ for thing in _))",
    "sys.excepthook = lambda *_: 1 / 0",
    "sys.excepthook = lambda *_: sys.exit(6)",
    "sys.excepthook = lambda *_: sys.exit('text')",
    "sys.excepthook = lambda: None",
    "sys.excepthook = None",
    "del sys.excepthook",
    "del sys.excepthook, sys.__excepthook__",
    "sys.excepthook = 3",
    "sys.stderr = None",
    "sys.stderr = None; sys.excepthook = None",
    "sys.stderr = sys.stdout",
    "import atexit; sys.excepthook = lambda *_: print(sys.last_value)",
]


@pytest.mark.parametrize("hook", HOOKS)
def test_an_exception_that_nobody_catches(hook: str, tmp_path: Path) -> None:
    source = f"import sys\n{hook}\ndef f():\n    raise ValueError('why')\nf()\n"
    assert ends_as_with_python(source, tmp_path)[0] in (1, 6)


def test_an_exception_without_a_stderr_that_works(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import sys\nsys.stderr.close()\n1 / 0\n")
    # What Python prints then, if anything, has memory addresses in it.
    assert outcome("-c", AS_THE_ROOT, str(program))[0] == outcome(str(program))[0] == 1


ERRORS = [
    "raise KeyError('a') from ValueError('b')",
    "try:\n    1 / 0\nexcept Exception:\n    {}['x']",
    "import there_is_no_such_module",
    "import json; json.loads('[')",
    "compile('def f(:', 'other.py', 'exec')",
    "class E(Exception):\n    def __str__(self): raise RuntimeError\nraise E",
    "class E(Exception):\n    pass\nE.__module__ = 'elsewhere'\nraise E('x')",
    "raise BaseException('b')",
    "raise GeneratorExit",
    "import sys; sys.tracebacklimit = 0; 1 / 0",
    "def f(:",
    "x = 'abc\n",
    "if x:\ny",
    "return 3",
    "x = '''",
]


@pytest.mark.parametrize("source", ERRORS)
def test_what_an_exception_prints(source: str, tmp_path: Path) -> None:
    assert ends_as_with_python(f"{source}\n", tmp_path)[0] == 1


@pytest.mark.skipif(sys.version_info < (3, 11), reason="has no groups of exceptions")
def test_what_a_group_of_exceptions_prints(tmp_path: Path) -> None:
    ends_as_with_python("raise ExceptionGroup('g', [ValueError(1), KeyError(2)])\n", tmp_path)


def test_ctrl_c_has_a_status_of_its_own(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("raise KeyboardInterrupt\n")
    status, _, stderr = outcome("-c", AS_THE_ROOT, str(program))
    assert status == 130
    assert stderr.endswith("\nKeyboardInterrupt\n")
