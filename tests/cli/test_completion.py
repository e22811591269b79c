"""What bash offers when Tab is pressed in a command line of ours, by way of argcomplete."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import argcomplete
import pytest
from argcomplete.shell_integration import shellcode

from tests.launch import ROOT, launch

# What argcomplete has bash do for all commands.
FOR_ALL = Path(argcomplete.__file__).parent / "bash_completion.d" / "_python-argcomplete"
# As bash does it: the function that completes is told the command, the word, and the one before.
ASK = """
compopt() { :; }  # works under Tab alone
COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9
read -ra COMP_WORDS <<< "$1"
[[ $1 != *' ' ]] || COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
"$2" "${COMP_WORDS[0]}" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


def ask(line: str, function: str, script: str, folder: Path, path: Path) -> list[str]:
    """Return what bash offers after `line`, in `folder`, with the programs of `path`.

    function: what completes for bash.
    script: what defines it.
    """
    result = subprocess.run(
        ["bash", "-c", script + ASK, "bash", line, function],
        cwd=folder,
        env={**os.environ, "PATH": f"{path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert result.stderr == ""
    return sorted(word.strip() for word in result.stdout.splitlines() if word.strip())


@pytest.fixture
def offered(tmp_path: Path) -> Callable[[str], list[str]]:
    """What follows `python -m scoop_mpi`, where there are a program, hosts and a folder."""
    for name in ("program.py", "hosts"):
        (tmp_path / name).touch()
    (tmp_path / "folder").mkdir()

    def after(line: str) -> list[str]:
        return ask(
            f"python -m scoop_mpi {line}",
            "_python_argcomplete_global",
            f"source {shlex.quote(str(FOR_ALL))}",
            tmp_path,
            Path(sys.executable).parent,
        )

    return after


def test_all_options_are_offered_but_those_that_are_only_answered(
    offered: Callable[[str], list[str]],
) -> None:
    shown = launch("--help", ranks=None).check().stdout
    found = offered("--")
    assert {"--host", "--hostfile", "--root", "--info"} <= set(found)
    assert all(option in shown for option in found)
    assert "--tunnel" not in found


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("-n 4 --hostf", ["--hostfile"]),
        ("--root ", ["auto", "serves", "works"]),
        ("--root=w", ["works"]),
        ("--threads ", ["keep"]),
        ("--host a b --pythonp", ["--pythonpath"]),
        ("--hostfile h", ["hosts"]),
        ("--path ", ["folder/"]),
        ("-n ", []),
        ("-n 4 pro", ["program.py"]),
        ("", ["folder/", "hosts", "program.py"]),
    ],
)
def test_options_and_their_values_are_offered(
    line: str, expected: list[str], offered: Callable[[str], list[str]]
) -> None:
    assert offered(line) == expected


@pytest.mark.parametrize("program", ["program.py", "-m module", "-n 4 program.py --root"])
def test_what_follows_the_program_is_for_the_program(
    program: str, offered: Callable[[str], list[str]]
) -> None:
    assert offered(f"{program} --") == []
    assert offered(f"{program} pro") == ["program.py"]


def test_the_command_has_the_same(tmp_path: Path) -> None:
    command = tmp_path / "scoop_mpi"  # as pip writes it
    command.write_text(
        f"#!{sys.executable}\nimport sys\nfrom scoop_mpi.__main__ import main\nsys.exit(main())\n"
    )
    command.chmod(0o755)
    script = shellcode([command.name])
    found = ask("scoop_mpi --hostf", "_python_argcomplete", script, ROOT, tmp_path)
    assert found == ["--hostfile"]


def test_without_argcomplete_nothing_is_offered_nor_run(tmp_path: Path) -> None:
    (tmp_path / "argcomplete.py").write_text("raise ImportError\n")
    asked = {"_ARGCOMPLETE": "3", "COMP_LINE": "python -m scoop_mpi -", "COMP_POINT": "21"}
    run = launch("-c", "print(1)", ranks=None, env={**asked, "PYTHONPATH": str(tmp_path)})
    run.check(status=1)
    assert (run.stdout, run.stderr) == ("", "")


def test_a_rank_imports_nothing_of_it() -> None:
    code = "import sys; print([name for name in sys.modules if 'complet' in name])"
    for options in ([], ["-v"]):
        assert launch(*options, "-c", code, ranks=1).check().stdout == "[]\n"
