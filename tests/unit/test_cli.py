"""Command lines and what they ask for."""

from __future__ import annotations

import logging
import shlex
import subprocess
import sys

import pytest

from scoop_mpi import __version__
from scoop_mpi.command.command_line import parse
from scoop_mpi.command.kernel import Kernel, specification
from scoop_mpi.job.config import Config
from scoop_mpi.job.program import Program
from scoop_mpi.launch.request import Start


@pytest.mark.parametrize(
    ("line", "program"),
    [
        ("prog.py", Program("script", "prog.py")),
        ("prog.py one two", Program("script", "prog.py", ("one", "two"))),
        ("prog.py -v --debug -m x", Program("script", "prog.py", ("-v", "--debug", "-m", "x"))),
        ("prog.py -- -v", Program("script", "prog.py", ("--", "-v"))),
        ("prog.py --its=options", Program("script", "prog.py", ("--its=options",))),
        ("prog.py --version", Program("script", "prog.py", ("--version",))),
        ("-v prog.py -q", Program("script", "prog.py", ("-q",))),
        ("-- prog.py -v", Program("script", "prog.py", ("-v",))),
        ("-m module", Program("module", "module")),
        ("-mmodule -v", Program("module", "module", ("-v",))),
        ("-m package.module -v -m x", Program("module", "package.module", ("-v", "-m", "x"))),
        ("-m module -c code", Program("module", "module", ("-c", "code"))),
        ("-c code", Program("code", "code")),
        ("-c code -c other prog.py", Program("code", "code", ("-c", "other", "prog.py"))),
        ("-c code --help", Program("code", "code", ("--help",))),
    ],
)
def test_the_program_and_its_arguments(line: str, program: Program) -> None:
    assert parse(line.split()).config.program == program


@pytest.mark.parametrize("line", ["prog.py -v", "-- -v", "-m module -m x", "-mmodule", "-ccode"])
def test_a_line_without_options_of_ours_gives_what_one_with_options_gives(line: str) -> None:
    with_option = parse(["-q", *line.split()])
    assert parse(line.split()) == with_option._replace(
        config=with_option.config._replace(log_level=logging.WARNING),
        rank_words=with_option.rank_words[1:],
    )


@pytest.mark.parametrize("line", [["prog.py", ":", "", "a b", "'", "-n"], ["-m", "m", "\n", "*"]])
@pytest.mark.parametrize("options", [[], ["-v"], ["-n", "2", "--nice", "3"]])
def test_a_line_may_come_in_one_word_or_a_few(line: list[str], options: list[str]) -> None:
    words = [*options, *line]
    expected = parse(words)
    quoted = shlex.join(words)
    assert parse([f"--line={quoted}"]) == expected
    assert parse(["--line", quoted]) == expected
    assert parse([*options, f"--line={shlex.join(line)}"]) == expected
    assert parse([*options, "--line", shlex.join(line)]) == expected
    assert parse([f"--line={shlex.quote(word)}" for word in words]) == expected


def test_quotes_that_do_not_match(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ending:
        parse(["--line=prog.py 'a"])
    assert ending.value.code == 2
    assert "argument --line: No closing quotation" in capsys.readouterr().err


def test_without_options_of_ours_argparse_is_not_imported() -> None:
    assert _imported_by("command_line.parse(['prog.py', '-v'])", "argparse") == "set()\n"
    assert "argparse" in _imported_by("command_line.parse(['-v', 'a'])", "argparse")


@pytest.mark.parametrize("line", ["", "-m", "-c", "--"])
def test_a_line_that_names_no_program_is_refused(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ending:
        parse(line.split())
    assert ending.value.code == 2
    assert "there is no program to run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "level", "is_debug"),
    [
        ("prog.py", logging.WARNING, False),
        ("-v prog.py", logging.INFO, False),
        ("--verbose prog.py", logging.INFO, False),
        ("-v -v prog.py", logging.DEBUG, False),
        ("-vvv prog.py", logging.DEBUG, False),
        ("-q prog.py", logging.ERROR, False),
        ("--quiet -v prog.py", logging.ERROR, False),
        ("--debug prog.py", logging.DEBUG, True),
        ("--debug -q prog.py", logging.DEBUG, True),
    ],
)
def test_what_is_logged(line: str, level: int, is_debug: bool) -> None:
    config = parse(line.split()).config
    assert (config.log_level, config.is_debug) == (level, is_debug)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "-v",
        "-m",
        "-c",
        "-v -m",
        "--unknown prog.py",
        "--verb x.py",
        "-n prog.py",
        "-n 0 prog.py",
        "-n -4 prog.py",
        "-n 1.5 prog.py",
        "-np prog.py",
        "-np 0 prog.py",
        "-np4 prog.py",
        "--threads 0 prog.py",
        "--threads some prog.py",
        "--nice 20 prog.py",
        "--nice -21 prog.py",
        "--host",
        "--host prog.py",
        "--host a --hostfile b prog.py",
        "--host a b",
        "--hostfile",
        "--dry-run",
        "--line",
        "--line=",
    ],
)
def test_a_line_that_asks_for_nothing_is_an_error(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ending:
        parse(line.split())
    assert ending.value.code == 2
    assert "usage: python -m scoop_mpi" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "start"),
    [
        ("prog.py", Start()),
        ("-n 4 prog.py -n 5", Start(ranks=4)),
        ("-n4 prog.py", Start(ranks=4)),
        ("-np 4 prog.py -np 5", Start(ranks=4)),
        ("-np=4 prog.py", Start(ranks=4)),
        ("--np 4 prog.py", Start(ranks=4)),
        ("--np=4 -v prog.py", Start(ranks=4)),
        ("-vn 4 prog.py", Start(ranks=4)),
        ("--host a a b prog.py c", Start(host_names=("a", "a", "b"))),
        ("--hosts a -n 2 -m module", Start(ranks=2, host_names=("a",))),
        ("--host a b ./prog c", Start(host_names=("a", "b"))),
        ("--host a --host b -- prog", Start(host_names=("a", "b"))),
        ("--hostfile hosts prog.py", Start(host_file="hosts")),
        ("--hostfile=hosts prog.py", Start(host_file="hosts")),
        ("--python /opt/python prog.py", Start(python="/opt/python")),
        ("--python-interpreter py prog.py", Start(python="py")),
        ("--dry-run prog.py", Start(is_dry_run=True)),
        ("--mpiexec-args -l prog.py", Start(mpiexec_options=("-l",))),
    ],
)
def test_how_ranks_are_started(line: str, start: Start) -> None:
    parsed = parse(line.split())
    assert parsed.start == start
    assert parsed.config.program.target in ("prog.py", "./prog", "prog", "module")


def test_options_for_mpiexec_are_quoted_as_for_a_shell() -> None:
    parsed = parse(["--mpiexec-args", "-x 'A=a b' --quiet", "prog.py"])
    assert parsed.start.mpiexec_options == ("-x", "A=a b", "--quiet")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("-n 4 prog.py -n 5", "prog.py -n 5"),
        ("-v -n 4 --nice -5 --host a b --debug prog.py", "-v --nice=-5 --debug prog.py"),
        ("--python x --mpiexec-args y --dry-run -p dir -m mod -n 2", "-p dir -m mod -n 2"),
        ("--hostfile f --profile --threads keep -- -v", "--profile --threads=keep -- -v"),
        ("-n 2 -i", "-i"),
        ("-np 2 -v prog.py -np 3", "-v prog.py -np 3"),
        ("--np=2 --np 3 -p dir prog.py", "-p dir prog.py"),
    ],
)
def test_what_the_ranks_get_of_the_command_line(line: str, words: str) -> None:
    assert " ".join(parse(line.split()).rank_words) == words


def test_what_each_rank_does() -> None:
    line = "-p dir --pythonpath /a:/b --nice 5 --threads 2 --profile=to --no-scoop-alias -i prog.py"
    parsed = parse(line.split())
    program = Program("script", "prog.py", (), "dir", ("/a", "/b"))
    assert parsed.niceness == 5
    assert parsed.config == Config(
        program,
        threads=2,
        profile_folder="to",
        has_scoop_alias=False,
        is_interactive=True,
    )


def test_without_a_program_there_may_be_a_prompt_or_information() -> None:
    assert parse(["-i"]).config.program.target == "from scoop_mpi import futures, shared"
    assert parse(["--info"]).is_info


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("-b 2 prog.py", "rank 0 is the broker"),
        ("--rsh prog.py", "-launcher rsh"),
        ("--ssh-executable ssh2 prog.py", "-launcher-exec"),
        ("--tunnel prog.py", "without tunnels"),
        ("-e prog.py", "without tunnels"),
        ("--external-hostname me prog.py", "-iface"),
        ("--broker-hostname me prog.py", "-iface"),
        ("--prolog script.sh prog.py", "job script"),
        ("--backend ZMQ prog.py", "MPI is the backend"),
        ("--log file prog.py", "2> FILE"),
    ],
)
def test_options_of_scoop_that_have_nothing_to_do_say_what_does(
    line: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ending:
        parse(line.split())
    assert ending.value.code == 2
    text = capsys.readouterr().err
    assert words in text
    assert line.split()[0] in text
    assert text.count("\n") == 1


@pytest.mark.parametrize(
    ("line", "kernel"),
    [
        ("--install-kernel", Kernel("scoop_mpi", False, None, ())),
        ("--install-kernel=user", Kernel("scoop_mpi", False, None, ())),
        ("--install-kernel -n 4", Kernel("scoop_mpi", False, 4, ("-n", "4"))),
        ("-n4 --name a.b-C_1 --install-kernel", Kernel("a.b-C_1", False, 4, ("-n4",))),
        (
            "--host a b --install-kernel=sys-prefix --threads 2 --name=x -v",
            Kernel("x", True, None, ("--host=a", "--host=b", "--threads=2", "-v")),
        ),
    ],
)
def test_a_kernel_that_is_to_be_installed(line: str, kernel: Kernel) -> None:
    assert parse(line.split()).kernel == kernel


def test_without_the_option_no_kernel_is_installed() -> None:
    assert parse(["prog.py", "--install-kernel"]).kernel is None
    assert parse(["-v", "prog.py"]).kernel is None


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("--install-kernel prog.py a", "runs no program: leave out prog.py and what follows"),
        ("--install-kernel sys-prefix", "--install-kernel=user or --install-kernel=sys-prefix"),
        ("--install-kernel -m module", "leave out -m"),
        ("--install-kernel -c code", "leave out -c"),
        ("--install-kernel=there", "invalid choice: 'there'"),
        ("--install-kernel -i", "can't go with -i"),
        ("--info --install-kernel", "can't go with --info"),
        ("--install-kernel --dry-run", "can't go with --dry-run"),
        ("--install-kernel --name", "expected one argument"),
        ("--install-kernel --name=", "invalid name (letters, digits"),
        ("--install-kernel --name a/b", "invalid name (letters, digits"),
        ("--install-kernel --name ..", "invalid name (letters, digits"),
        ("--install-kernel --name .hidden", "invalid name (letters, digits"),
        ("--install-kernel --name \xe9", "invalid name (letters, digits"),
        ("--install-kernel -n 0", "invalid number (1 or more)"),
        ("--name x prog.py", "--name is for a kernel: give --install-kernel too"),
        ("--name x", "--name is for a kernel: give --install-kernel too"),
    ],
)
def test_a_kernel_that_cannot_be_installed(
    line: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ending:
        parse(line.split())
    assert ending.value.code == 2
    assert complaint in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("ranks", "title"), [(None, "here"), (1, "here (1 rank)"), (64, "here (64 ranks)")]
)
def test_what_a_kernel_is_to_jupyter(ranks: int | None, title: str) -> None:
    kernel = Kernel("here", False, ranks, ("-n", "4"))
    assert specification(kernel, ["-P", "-m", "scoop_mpi"]) == {
        "argv": [
            *(sys.executable, "-P", "-m", "scoop_mpi", "-n", "4"),
            *("-m", "ipykernel_launcher", "-f", "{connection_file}"),
        ],
        "display_name": title,
        "language": "python",
        "interrupt_mode": "message",
    }


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ending:
        parse(["--version"])
    assert ending.value.code == 0
    assert capsys.readouterr().out == f"scoop_mpi {__version__}\n"


def test_help_shows_how_a_job_is_started(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ending:
        parse(["--help"])
    assert ending.value.code == 0
    text = capsys.readouterr().out
    assert "mpiexec -n 4 python -m scoop_mpi prog.py" in text
    assert 'if __name__ == "__main__":' in text


def test_the_command_line_is_read_without_what_a_rank_needs() -> None:
    heavy = ("mpi4py", "greenlet", "numpy", "cloudpickle", "scoop_mpi.engine.hub")
    assert _imported_by("import scoop_mpi.command.cli", *heavy) == "set()\n"


def _imported_by(code: str, *modules: str) -> str:
    """Return which of the modules a new Python has imported after the code, as a set is printed."""
    text = (
        f"import sys; from scoop_mpi.command import command_line; {code}; "
        f"print(set({modules}) & sys.modules.keys())"
    )
    answer = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=True
    )
    return answer.stdout
