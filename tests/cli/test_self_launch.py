"""`python -m scoop_mpi` without a launcher starts its ranks itself, and ends with them."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.launch import ROOT, launch, on_ranks, start, uses_open_mpi

WriteProgram = Callable[..., Path]

LIMIT = 60.0  # seconds that a job may take, however slow the machine

SQUARES = """
    import sys
    import scoop_mpi
    from scoop_mpi import futures

    def square(x):
        return x * x

    if __name__ == "__main__":
        print(scoop_mpi.SIZE, list(futures.map(square, range(3))), sys.argv[1:])
"""

BUSY = """
    import time
    import scoop_mpi
    from scoop_mpi import futures

    def work(x):
        print("working", flush=True)
        time.sleep(300)

    if __name__ == "__main__":
        list(futures.map(work, range(scoop_mpi.SIZE)))
"""


@on_ranks(1, 3)
def test_n_ranks_are_started(ranks: int, write_program: WriteProgram) -> None:
    run = launch("-n", str(ranks), write_program(SQUARES), "-n", "9", ranks=None).check()
    assert run.stdout == f"{ranks} [0, 1, 4] ['-n', '9']\n"


def test_unless_told_there_is_a_rank_for_each_core(write_program: WriteProgram) -> None:
    run = launch(write_program(SQUARES), ranks=None).check()
    assert run.stdout == f"{len(os.sched_getaffinity(0))} [0, 1, 4] []\n"


def test_mpiexecs_own_spelling_is_understood(write_program: WriteProgram) -> None:
    run = launch("-np", "2", write_program(SQUARES), "-np", "9", ranks=None).check()
    assert run.stdout == "2 [0, 1, 4] ['-np', '9']\n"


@pytest.mark.parametrize("ranks", ["1", "2"])
def test_there_is_a_script_too(ranks: str, write_program: WriteProgram, tmp_path: Path) -> None:
    """What a packager makes of the entry point; it needn't be on the hosts of the ranks."""
    script = tmp_path / "scoop_mpi_script"
    script.write_text("import sys\nfrom scoop_mpi.__main__ import main\nsys.exit(main())\n")
    options = ("-n", ranks, write_program(SQUARES), "a b")
    run = launch(*options, ranks=None, python=("-OO", str(script))).check()
    assert run.stdout == f"{ranks} [0, 1, 4] ['a b']\n"
    if ranks != "1":
        shown = launch("--dry-run", *options, ranks=None, python=("-OO", str(script))).check()
        words = shlex.split(shown.stdout)
        assert words[words.index(sys.executable) + 1 :][:3] == ["-OO", "-m", "scoop_mpi"]


def test_the_packager_is_told_of_the_script() -> None:
    entry = 'scoop_mpi = "scoop_mpi.__main__:main"'
    assert f"[project.scripts]\n{entry}\n" in (ROOT / "pyproject.toml").read_text()


@pytest.mark.parametrize("options", [(), ("-n", "1"), ("-q",)], ids=str)
def test_one_task_with_many_cores_is_told_how_to_use_them(
    options: tuple[str, ...], write_program: WriteProgram
) -> None:
    job = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "1", "SLURM_CPUS_PER_TASK": "16"}
    run = launch(*options, write_program(SQUARES), ranks=None, env=job).check()
    assert run.stdout == "1 [0, 1, 4] []\n"
    assert run.stderr.count("\n") == run.stderr.count("sbatch -n 16") == (not options)


@pytest.mark.parametrize(
    "variables", [{"LSB_MCPU_HOSTS": "a 2 b"}, {"PBS_NODEFILE": "/dev/null"}], ids=str
)
def test_what_a_scheduler_does_not_write_is_told_of(
    variables: dict[str, str], write_program: WriteProgram
) -> None:
    run = launch(write_program(SQUARES), ranks=None, env=variables).check(2)
    assert run.stdout == ""
    assert run.stderr.startswith("scoop_mpi: ")
    assert run.stderr.count("\n") == 1
    assert next(iter(variables)) in run.stderr


def test_many_ranks_need_many_open_files(write_program: WriteProgram) -> None:
    """More than the limit that is set, which can be raised."""
    limited = ("sh", "-c", 'ulimit -Sn 64; exec "$@"', "sh")
    run = launch("-n", "16", write_program(SQUARES), ranks=None, launcher=limited).check()
    assert run.stdout == "16 [0, 1, 4] []\n"
    assert run.stderr == ""
    limited = ("sh", "-c", 'ulimit -n 64; exec "$@"', "sh")
    options = ("--dry-run", "-n", "1000", write_program(SQUARES))
    run = launch(*options, ranks=None, launcher=limited).check()
    assert run.stderr.count("ulimit -Hn") == 1


@pytest.mark.parametrize("ranks", ["1", "2"])
def test_a_system_need_not_tell_which_cores_may_be_used(
    ranks: str, write_program: WriteProgram, tmp_path: Path
) -> None:
    """macOS does not, nor has it files in memory that have no name."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os\n"
        "for name in ('sched_getaffinity', 'memfd_create', 'O_TMPFILE', 'posix_fallocate'):\n"
        "    delattr(os, name)\n"
    )
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    env = {"PYTHONPATH": path}
    run = launch("-n", ranks, write_program(SQUARES), ranks=None, env=env).check()
    assert run.stdout == f"{ranks} [0, 1, 4] []\n"
    run = launch("-n", ranks, "--info", ranks=None, env=env).check()
    assert f"cores: {os.cpu_count()}" in run.stdout
    run = launch(write_program(SQUARES), ranks=None, env=env).check()
    assert run.stdout == f"{os.cpu_count()} [0, 1, 4] []\n"


def test_within_a_slurm_job_there_is_a_rank_for_each_task(write_program: WriteProgram) -> None:
    job = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "3", "SLURM_PROCID": "0"}
    run = launch("--dry-run", write_program(SQUARES), ranks=None, env=job).check()
    assert shlex.split(run.stdout)[1:3] == ["-n", "3"]


def test_within_a_pbs_job_there_is_a_rank_for_each_line(
    write_program: WriteProgram, tmp_path: Path
) -> None:
    (tmp_path / "nodes").write_text("localhost\n" * 3)
    job = {"PBS_NODEFILE": str(tmp_path / "nodes"), "PBS_ENVIRONMENT": "PBS_BATCH"}
    run = launch(write_program(SQUARES), ranks=None, env=job).check()
    assert run.stdout == "3 [0, 1, 4] []\n"


def test_ranks_are_placed_on_the_hosts(write_program: WriteProgram, tmp_path: Path) -> None:
    program = write_program(SQUARES)
    listed = launch("--host", "localhost", "localhost", program, ranks=None).check()
    assert listed.stdout == "2 [0, 1, 4] []\n"
    hosts = tmp_path / "hosts"
    hosts.write_text("localhost 2  # this one\n")
    for options, size in (((), 2), (("-n", "1"), 1), (("-n", "3"), 3)):
        run = launch("--hostfile", hosts, *options, program, ranks=None).check()
        assert run.stdout == f"{size} [0, 1, 4] []\n"


def test_each_host_gets_its_ranks(write_program: WriteProgram, tmp_path: Path) -> None:
    """Several hosts are played by this one: what stands in for ssh runs the command here."""
    if uses_open_mpi():
        pytest.skip("Open MPI's MPI_Init fails where two hosts are one")
    ssh = tmp_path / "ssh"
    ssh.write_text(f"""#!/bin/sh
        while [ "${{1#-}}" != "$1" ]; do shift; done
        echo "$1" >> {tmp_path}/hosts
        shift
        exec sh -c "$*"
    """)
    ssh.chmod(0o755)
    options = ("--host", "a", "b", "a", "--mpiexec-args", f"-launcher ssh -launcher-exec {ssh}")
    run = launch(*options, "-n", "4", write_program(SQUARES), ranks=None).check()
    assert run.stdout == "4 [0, 1, 4] []\n"
    assert sorted((tmp_path / "hosts").read_text().split()) == ["a", "b"]


def test_what_is_dry_run_can_be_run(write_program: WriteProgram) -> None:
    program = write_program(SQUARES)
    shown = launch("--dry-run", "-n", "2", "-v", program, "a b", ranks=None).check()
    command = shlex.split(shown.stdout)
    assert command[command.index(sys.executable) :] == [
        *(sys.executable, "-m", "scoop_mpi", "-v", str(program), "a b")
    ]
    run = launch("-c", f"import os; os.execv({command[0]!r}, {command!r})", ranks=None, python=())
    assert run.check().stdout == "2 [0, 1, 4] ['a b']\n"


ARGUMENTS = """
    import sys

    if __name__ == "__main__":
        print(ascii(sys.argv[1:]))
"""
# What launchers have for themselves, what a shell would change, and what is no text.
MANY = [
    *(
        ":",
        "",
        " ",
        "*",
        "~",
        "$HOME",
        "`id`",
        "'",
        '"',
        "a b",
        "a\nb",
        "\\",
        "a\\",
        "ü€",
        "\udcff",
    ),
    *("-n", "-np", "--", "-", "-m", "-c", "--version", "--help", "--host", "--line=a", "-x", "::"),
    *("--bind-to", "--map-by", "--rank-by", "--runtime-options", "-configfile", "--mca", "-genv"),
]


@pytest.mark.parametrize("ranks", ["1", "2"])
def test_all_arguments_arrive_as_they_are(ranks: str, write_program: WriteProgram) -> None:
    program = write_program(ARGUMENTS)
    for arguments in (MANY, MANY[1:15], [":"], [*map(str, range(3000))]):
        run = launch("-n", ranks, program, *arguments, ranks=None).check()
        assert run.stdout == f"{arguments!a}\n"


@on_ranks(2)
def test_arguments_can_be_protected_from_a_launcher(
    ranks: int, write_program: WriteProgram
) -> None:
    line = shlex.join([str(write_program(ARGUMENTS)), *MANY])
    assert launch(f"--line={line}", ranks=ranks).check().stdout == f"{MANY!a}\n"


def test_options_of_python_and_of_mpiexec_are_passed_on(write_program: WriteProgram) -> None:
    program = write_program("""
        import os, sys
        from scoop_mpi import futures

        def probe(_):
            return sys.flags.optimize, os.environ["PASSED"]

        if __name__ == "__main__":
            print(set(futures.map(probe, range(20))))
    """)
    give = "-x PASSED=yes" if uses_open_mpi() else "-genv PASSED yes"
    options = ("-n", "2", "--mpiexec-args", give)
    run = launch(*options, program, ranks=None, python=("-OO", "-m", "scoop_mpi")).check()
    assert run.stdout == "{(2, 'yes')}\n"


def test_another_python_can_run_the_ranks(write_program: WriteProgram, tmp_path: Path) -> None:
    wrapper = tmp_path / "python"
    wrapper.write_text(f'#!/bin/sh\nWRAPPED=yes exec {shlex.quote(sys.executable)} "$@"\n')
    wrapper.chmod(0o755)
    program = write_program("""
        import os
        import scoop_mpi

        if __name__ == "__main__":
            print(scoop_mpi.SIZE, os.environ["WRAPPED"])
    """)
    for ranks in ("1", "2"):
        run = launch("-n", ranks, "--python", wrapper, program, ranks=None).check()
        assert run.stdout == f"{ranks} yes\n"


@pytest.mark.parametrize("ending", ["sys.exit(7)", "raise KeyError('so be it')"])
def test_the_status_is_the_programs(ending: str, write_program: WriteProgram) -> None:
    program = write_program(f"""
        import sys

        if __name__ == "__main__":
            {ending}
    """)
    run = launch("-n", "2", program, ranks=None).check(7 if "7" in ending else 1)
    assert ("so be it" in run.stderr) == ("7" not in ending)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all(number: signal.Signals, write_program: WriteProgram) -> None:
    with start("-n", "4", write_program(BUSY), ranks=None, timeout=LIMIT) as job:
        job.wait_for("working")
        job.send_signal(number)
        job.finish().check(None)


def test_the_interrupt_key_ends_all(write_program: WriteProgram) -> None:
    with start("-n", "4", write_program(BUSY), ranks=None, timeout=LIMIT) as job:
        job.wait_for("working")
        job.press_interrupt()
        job.finish().check(None)


LOADING = """
    import os, time

    # Who asks which MPI there is reads what this prints; its own stderr is the job's.
    process = "self" if {is_rank} else os.getppid()
    with open(f"/proc/{{process}}/fd/2", "a") as stderr:
        print("loading", file=stderr)
    time.sleep(300)
"""


@pytest.mark.parametrize(("ranks", "options"), [(None, ("-n", "1")), (None, ("-n", "2")), (2, ())])
def test_the_interrupt_key_while_a_job_starts_shows_no_lines_of_ours(
    ranks: int | None, options: tuple[str, ...], write_program: WriteProgram, tmp_path: Path
) -> None:
    is_rank = options != ("-n", "2")
    write_program(LOADING.format(is_rank=is_rank), "mpi4py.py")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    program = write_program(BUSY)
    with start(*options, program, ranks=ranks, env={"PYTHONPATH": path}) as job:
        job.wait_for("loading")
        job.press_interrupt()
        run = job.finish().check(None)
        assert "Traceback" not in run.stderr
        if ranks is None:
            assert run.stderr == "loading\n"
            assert run.returncode == -signal.SIGINT


def test_a_rank_that_is_killed_ends_all(write_program: WriteProgram) -> None:
    with start("-n", "3", write_program(BUSY), ranks=None, timeout=LIMIT) as job:
        job.wait_for("working")
        job.rank_process(1).kill()
        job.finish().check(None)


# ---------------------------------------------------------------- under a launcher


@on_ranks(2)
def test_a_rank_says_once_that_options_come_too_late(
    ranks: int, write_program: WriteProgram
) -> None:
    program = write_program(SQUARES)
    run = launch("-n", "5", "--host", "a", "--", program, ranks=ranks).check()
    assert run.stdout == "2 [0, 1, 4] []\n"
    assert run.stderr.count("No effect: -n, --host.") == 1
    assert launch("-n", "2", program, ranks=ranks).check().stderr == ""


@on_ranks(3)
def test_ranks_say_once_what_is_wrong_with_their_options(
    ranks: int, write_program: WriteProgram
) -> None:
    run = launch("--bogus", write_program(SQUARES), ranks=ranks).check(2)
    assert run.stdout == ""
    assert run.stderr.count("unrecognized arguments: --bogus") == 1
    assert launch("--version", ranks=ranks).check().stdout.count("scoop_mpi") == 1


@on_ranks(2)
def test_a_dry_run_of_a_rank_is_refused(ranks: int, write_program: WriteProgram) -> None:
    run = launch("--dry-run", write_program(SQUARES), ranks=ranks).check(2)
    assert run.stdout == ""
    assert run.stderr.count("leave mpiexec out") == 1


# ---------------------------------------------------------------- what can't be


def test_a_launcher_of_another_mpi_is_not_used(write_program: WriteProgram, tmp_path: Path) -> None:
    other = "HYDRA build details" if uses_open_mpi() else "mpiexec (Open MPI) 5.0.11"
    launcher = tmp_path / "mpiexec"
    launcher.write_text(f"#!/bin/sh\necho '{other}'\nexit 99\n")
    launcher.chmod(0o755)
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    run = launch("-n", "2", write_program(SQUARES), ranks=None, env={"PATH": path}).check()
    assert run.stdout == "2 [0, 1, 4] []\n"


def test_an_mpi_that_can_not_be_loaded_is_told_of(
    write_program: WriteProgram, tmp_path: Path
) -> None:
    (tmp_path / "mpi4py.py").write_text("raise ImportError('no MPI today')\n")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    for ranks in ("1", "2"):
        run = launch("-n", ranks, write_program(SQUARES), ranks=None, env={"PYTHONPATH": path})
        assert run.check(2).stdout == ""
        assert "can't load mpi4py" in run.stderr
        assert "no MPI today" in run.stderr
        assert "pip install 'scoop_mpi[mpich]'" in run.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is refused")
def test_open_mpi_refuses_root_in_one_line(write_program: WriteProgram) -> None:
    if not uses_open_mpi():
        pytest.skip("only Open MPI refuses")
    forbid = {"OMPI_ALLOW_RUN_AS_ROOT": None, "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": None}
    run = launch("-n", "2", write_program(SQUARES), ranks=None, env=forbid).check(2)
    assert "refuses to run as root" in run.stderr
    assert "export OMPI_ALLOW_RUN_AS_ROOT=1" in run.stderr
    assert run.stderr.count("\n") == 1


@on_ranks(3)
def test_ranks_that_can_not_load_their_mpi_say_so_once(
    ranks: int, write_program: WriteProgram, tmp_path: Path
) -> None:
    (tmp_path / "mpi4py.py").write_text("raise ImportError('no MPI today')\n")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    run = launch(write_program(SQUARES), ranks=ranks, env={"PYTHONPATH": path}).check(2)
    assert run.stderr.count("no MPI today") == 1
    assert f"scoop_mpi: {os.uname().nodename}: " in run.stderr


# ---------------------------------------------------------------- what each rank does

WHERE = """
    import os, sys
    from scoop_mpi import futures
    import helper

    def probe(_):
        return os.getcwd(), helper.NAME, os.getpriority(os.PRIO_PROCESS, 0)

    if __name__ == "__main__":
        print(*set(futures.map(probe, range(50))))
"""


@on_ranks(1, 2)
def test_a_folder_a_search_path_and_a_niceness(
    ranks: int, write_program: WriteProgram, tmp_path: Path
) -> None:
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "helper.py").write_text("NAME = 'mine'\n")
    write_program(WHERE)
    options = ("--path", tmp_path, "--pythonpath", tmp_path / "modules", "--nice", "19")
    run = launch("-n", str(ranks), *options, "program.py", ranks=None).check()
    assert run.stdout == f"{(str(tmp_path), 'mine', 19)}\n"


@on_ranks(2)
def test_a_folder_that_is_not_there(ranks: int, write_program: WriteProgram) -> None:
    run = launch("-p", "/not/there", write_program(SQUARES), ranks=ranks).check(None)
    assert run.stdout == ""
    assert run.stderr.count("can't go to the folder '/not/there'") == 1
