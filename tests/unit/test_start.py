"""The command that starts the ranks: for each MPI, each scheduler, each list of hosts."""

from __future__ import annotations

import os
import resource
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from scoop_mpi.command.command_line import parse
from scoop_mpi.errors import StartError
from scoop_mpi.launch import start
from scoop_mpi.launch.hosts import Host
from scoop_mpi.launch.mpi_library import Family, MPILibrary, family_of, used_by
from scoop_mpi.launch.mpiexec import find, options, protected, refusal_of_root
from scoop_mpi.launch.request import Start
from scoop_mpi.launch.start import Plan
from tests.launch import ROOT

VERSIONS = {
    Family.MPICH: "HYDRA build details:\n    Version: 5.0.2",
    Family.OPEN_MPI: "mpiexec (Open MPI) 5.0.11",
    Family.INTEL: "Intel(R) MPI Library for Linux* OS, Version 2021.14",
}
DESCRIPTIONS = {
    Family.MPICH: "MPICH Version: 5.0.2",
    Family.OPEN_MPI: "Open MPI v5.0.11",
    Family.INTEL: "Intel(R) MPI Library 2021.14 for Linux* OS",
}
Asked = Callable[[str, Sequence[str]], MPILibrary]
Cluster = Callable[[Family], Asked]
AS_ROOT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}


def make_launcher(path: Path, version: str) -> str:
    """Write a program that answers ``--version``, as an MPI's launcher does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "{version}"\n')
    path.chmod(0o755)
    return str(path)


def library(family: Family, *files: Path) -> MPILibrary:
    return MPILibrary(DESCRIPTIONS[family], tuple(map(str, files)))


# ---------------------------------------------------------------- how many ranks, and where


@pytest.mark.parametrize(
    ("asked", "environment", "expected"),
    [
        (Start(), {}, Plan(6, (), False, True)),
        (Start(ranks=4), {}, Plan(4, (), False, True)),
        (Start(ranks=1), {}, Plan(1, (), False, False)),
        (Start(), {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "64"}, Plan(64, (), True, True)),
        (Start(ranks=9), {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "8"}, Plan(9, (), False, True)),
        (Start(), {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "1"}, Plan(1, (), True, False)),
        (
            Start(),
            {"LSB_MCPU_HOSTS": "a 2 b 2"},
            Plan(4, (Host("a", 2), Host("b", 2)), True, True),
        ),
        (Start(ranks=2), {"LSB_MCPU_HOSTS": "a 2 b 2"}, Plan(2, (Host("a", 2),), True, True)),
        (
            Start(host_names=("a", "a", "b")),
            {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "64"},
            Plan(3, (Host("a", 2), Host("b", 1)), False, True),
        ),
        (
            Start(ranks=5, host_names=("a", "a", "b")),
            {},
            Plan(5, (Host("a", 3), Host("b", 2)), False, True),
        ),
        (Start(ranks=1, host_names=("a", "b")), {}, Plan(1, (Host("a", 1),), False, True)),
        (Start(), {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "0"}, Plan(1, (), True, False)),
    ],
)
def test_how_many_ranks_and_where(
    asked: Start, environment: dict[str, str], expected: Plan
) -> None:
    assert start.plan(asked, environment, cores=6) == expected


def test_a_host_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("a 2\nb\n")
    plan = start.plan(Start(host_file=str(tmp_path / "hosts")), {}, cores=6)
    assert plan == Plan(8, (Host("a", 2), Host("b", 6)), False, True)
    with pytest.raises(StartError, match=r"can't read the host file .*absent"):
        start.plan(Start(host_file=str(tmp_path / "absent")), {}, cores=6)


@pytest.mark.parametrize("variable", ["PBS_NODEFILE", "PE_HOSTFILE"])
def test_the_file_of_a_scheduler_is_read(variable: str, tmp_path: Path) -> None:
    (tmp_path / "nodes").write_text("a 1 q x\nb 1 q x\n")
    plan = start.plan(Start(), {variable: str(tmp_path / "nodes")}, cores=6)
    assert plan == Plan(2, (Host("a", 1), Host("b", 1)), True, True)


# ---------------------------------------------------------------- mpiexec's options

HOSTS = [Host("a", 2), Host("b", 1)]


@pytest.mark.parametrize(
    ("family", "hosts", "given", "has_room", "expected"),
    [
        (Family.MPICH, [], [], False, "-n 3"),
        (Family.MPICH, HOSTS, [], False, "-n 3 -hosts a:2,b:1"),
        (Family.MPICH, [], ["-l"], False, "-l -n 3"),
        (Family.INTEL, [], [], False, "-n 3"),
        (Family.OPEN_MPI, [], [], True, "-n 3"),
        (Family.OPEN_MPI, [], [], False, "-n 3 --map-by :OVERSUBSCRIBE --bind-to none"),
        (Family.OPEN_MPI, HOSTS, [], True, "-n 3 --host a:2,b:1 -x PATH"),
        (
            Family.OPEN_MPI,
            [],
            ["--bind-to", "core"],
            False,
            "--bind-to core -n 3 --map-by :OVERSUBSCRIBE",
        ),
        (Family.SPECTRUM, HOSTS, [], True, "-n 3 --host a:2,b:1 -x PATH"),
    ],
)
def test_the_options_of_mpiexec(
    family: Family, hosts: list[Host], given: list[str], has_room: bool, expected: str
) -> None:
    assert " ".join(options(family, 3, hosts, given, has_room, {"PATH", "HOME"})) == expected


@pytest.mark.parametrize(
    ("family", "user", "given", "environment", "is_refused"),
    [
        (Family.OPEN_MPI, 0, [], {}, True),
        (Family.OPEN_MPI, 0, [], {"OMPI_ALLOW_RUN_AS_ROOT": "1"}, True),
        (Family.OPEN_MPI, 0, [], AS_ROOT, False),
        (Family.OPEN_MPI, 0, ["--allow-run-as-root"], {}, False),
        (Family.OPEN_MPI, 1000, [], {}, False),
        (Family.MPICH, 0, [], {}, False),
    ],
)
def test_open_mpi_refuses_to_run_as_root(
    family: Family, user: int, given: list[str], environment: dict[str, str], is_refused: bool
) -> None:
    refusal = refusal_of_root(family, user, given, environment)
    assert (refusal is not None) == is_refused
    if refusal is not None:
        assert "export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1" in refusal


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], []),
        (["prog.py", "-n", "--", "*", "", "a b"], ["prog.py", "-n", "--", "*", "", "a b"]),
        (["-v", "prog.py", ":", "a b"], ["--line=-v prog.py : 'a b'"]),
        (["prog.py", "--bind-to", ""], ["--line=prog.py --bind-to ''"]),
        (["prog.py", "::", " :"], ["prog.py", "::", " :"]),
    ],
)
def test_what_a_launcher_would_take_for_itself_is_protected(
    words: list[str], expected: list[str]
) -> None:
    assert protected(words) == expected


def test_many_words_go_in_few() -> None:
    words = ["prog.py", *("x" * 1000 for _ in range(500)), "'" * 50_000]
    few = protected(words)
    assert len(few) < 12
    assert parse(few) == parse(words)
    assert all(len(word) < 1 << 18 for word in few)


# ---------------------------------------------------------------- which mpiexec


@pytest.mark.parametrize("family", DESCRIPTIONS)
def test_a_family_is_known_by_what_the_library_says(family: Family) -> None:
    assert family_of(DESCRIPTIONS[family]) is family


def test_the_launcher_beside_the_library_comes_first(tmp_path: Path) -> None:
    own = make_launcher(tmp_path / "mpi/bin/mpiexec", VERSIONS[Family.MPICH])
    make_launcher(tmp_path / "venv/bin/mpiexec", VERSIONS[Family.MPICH])
    make_launcher(tmp_path / "usr/bin/mpiexec", VERSIONS[Family.MPICH])
    used = library(Family.MPICH, tmp_path / "mpi/lib/x86_64-linux-gnu/libmpi.so.12")
    assert find(used, str(tmp_path / "venv/bin/python"), str(tmp_path / "usr/bin")) == own


def test_then_the_one_beside_python_and_then_those_on_path(tmp_path: Path) -> None:
    python = str(tmp_path / "venv/bin/python")
    path = os.pathsep.join(str(tmp_path / name) for name in ("absent", "usr/bin"))
    used = library(Family.MPICH, tmp_path / "mpi/lib/libmpi.so.12")
    on_path = make_launcher(tmp_path / "usr/bin/mpiexec", VERSIONS[Family.MPICH])
    assert find(used, python, path) == on_path
    beside = make_launcher(tmp_path / "venv/bin/mpiexec", VERSIONS[Family.MPICH])
    assert find(used, python, path) == beside


def test_a_launcher_of_another_mpi_is_passed_over(tmp_path: Path) -> None:
    python = str(tmp_path / "venv/bin/python")
    other = make_launcher(tmp_path / "venv/bin/mpiexec", VERSIONS[Family.MPICH])
    right = make_launcher(tmp_path / "usr/bin/mpiexec.openmpi", VERSIONS[Family.OPEN_MPI])
    used = library(Family.OPEN_MPI)
    assert find(used, python, str(tmp_path / "usr/bin")) == right
    with pytest.raises(StartError) as caught:
        find(used, python, str(tmp_path / "absent"))
    for part in ("no mpiexec of Open MPI", f"another MPI's: {other}", "srun"):
        assert part in str(caught.value)


# ---------------------------------------------------------------- the whole command


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    """A function that installs an MPI, and returns one that tells that it is what Python uses."""

    def install(family: Family) -> Asked:
        make_launcher(tmp_path / "mpi/bin/mpiexec", VERSIONS[family])
        return lambda python, options: library(family, tmp_path / "mpi/lib/libmpi.so")

    return install


def test_the_command(cluster: Cluster, tmp_path: Path) -> None:
    asked = Start(ranks=3, python="/opt/python", mpiexec_options=("-l",))
    plan = start.plan(asked, {}, cores=2)
    before = ("-X", "dev", "-m", "scoop_mpi")
    line = start.command(asked, plan, before, ("-v", "prog.py"), {}, cluster(Family.MPICH))
    mpiexec = str(tmp_path / "mpi/bin/mpiexec")
    assert line == [mpiexec, "-l", "-n", "3", "/opt/python", *before, "-v", "prog.py"]


def test_intel_mpi_is_told_each_hosts_ranks(
    cluster: Cluster,
) -> None:
    asked = Start(host_names=("a", "a", "b"), mpiexec_options=("-l",), python="python")
    plan = start.plan(asked, {}, cores=2)
    line = start.command(asked, plan, ("-m", "scoop_mpi"), ("p.py",), {}, cluster(Family.INTEL))
    each = "python -m scoop_mpi p.py"
    assert " ".join(line[1:]) == f"-l -host a -n 2 {each} : -host b -n 1 {each}"


def test_one_rank_needs_no_mpiexec_but_may_need_another_python() -> None:
    def nobody_asks(python: str, options: Sequence[str]) -> MPILibrary:
        raise AssertionError

    asked = Start(ranks=1, python="/opt/python")
    plan = start.plan(asked, {}, cores=2)
    line = start.command(asked, plan, ("-m", "scoop_mpi"), ("prog.py",), {}, nobody_asks)
    assert line == ["/opt/python", "-m", "scoop_mpi", "-n", "1", "prog.py"]


def test_a_scheduler_tells_mpich_itself_but_open_mpi_is_told(
    cluster: Cluster,
) -> None:
    environment = {"LSB_MCPU_HOSTS": "a 2 b 2", **AS_ROOT}
    plan = start.plan(Start(), environment, cores=2)
    mpich = start.command(Start(), plan, (), ("prog.py",), environment, cluster(Family.MPICH))
    assert mpich[1:3] == ["-n", "4"]
    assert mpich[3] == sys.executable
    openmpi = start.command(Start(), plan, (), ("prog.py",), environment, cluster(Family.OPEN_MPI))
    assert openmpi[1:6] == ["-n", "4", "--host", "a:2,b:2", sys.executable]


def test_within_a_shell_that_slurm_opened_the_ranks_may_use_its_cpus() -> None:
    job = {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "1"}
    assert start.variables({**job, "SLURM_PTY_PORT": "40000"}) == {"SLURM_OVERLAP": "1"}
    assert start.variables(job) == {}


def test_a_python_that_can_not_be_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"can't run the Python .*absent"):
        used_by(str(tmp_path / "absent"))
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'No module named mpi4py' >&2\nexit 1\n")
    python.chmod(0o755)
    with pytest.raises(StartError, match=r"can't load mpi4py .*No module named mpi4py"):
        used_by(str(python))
    python.write_text("#!/bin/sh\necho hello\n")
    with pytest.raises(StartError, match="doesn't tell its MPI, but: hello"):
        used_by(str(python))


def test_python_is_asked_with_the_options_that_the_ranks_get(tmp_path: Path) -> None:
    """-I, -P and -E decide where it looks for modules, and so which MPI it finds."""
    asked = Start(ranks=2)
    seen = []

    def ask(python: str, options: Sequence[str]) -> MPILibrary:
        seen.append(list(options))
        make_launcher(tmp_path / "mpi/bin/mpiexec", VERSIONS[Family.MPICH])
        return library(Family.MPICH, tmp_path / "mpi/lib/libmpi.so")

    plan = start.plan(asked, {}, cores=2)
    for before in ("-I -X dev -m scoop_mpi", "-PEm scoop_mpi", "-m scoop_mpi"):
        start.command(asked, plan, before.split(), ("prog.py",), {}, ask)
    assert seen == [["-I", "-X", "dev"], ["-PE"], []]


def test_who_answers_may_print_other_things_too(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import atexit, sys\nprint('hello', end='')\natexit.register(print, '{}')\n"
    )
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\nPYTHONPATH={tmp_path}:{ROOT} exec {shlex.quote(sys.executable)} "$@"\n'
    )
    python.chmod(0o755)
    assert used_by(str(python)) == used_by(sys.executable)


def test_mpiexec_may_have_the_files_that_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [(100, 2000)]
    monkeypatch.setattr(resource, "getrlimit", lambda kind: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limit: limits.append(limit))
    assert start.allow_open_files(2) is None
    assert limits == [(100, 2000)]
    assert start.allow_open_files(100) is None
    assert limits[-1] == (664, 2000)
    text = start.allow_open_files(1000)
    assert limits[-1] == (2000, 2000)
    assert "2000 open files (ulimit -Hn), and needs about 6064 for 1000 ranks" in (text or "")
    limits.append((100, resource.RLIM_INFINITY))
    assert start.allow_open_files(1000) is None
    assert limits[-1] == (6064, resource.RLIM_INFINITY)
    limits.append((resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert start.allow_open_files(1000) is None
    assert limits[-1][0] == resource.RLIM_INFINITY
