"""The job scripts in environments made up after the schedulers' manuals.

For PBS and LSF this is all that is tested. The launchers are stubs that print how they were called,
so that the commands for MPIs and clusters that aren't here can be checked too; the last tests start
ranks, with the MPI of the Python that runs the tests.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.launch import OPEN_MPI_SETTINGS, ROOT
from tests.schedulers.batch import JOBSCRIPTS, PROGRAM, Job

ARGUMENTS = ["prog.py", "a b", "*", '"$HOME"']
# Of a scheduler or an environment around the tests, which the scripts would take notice of.
FOREIGN = (
    *("SLURM", "SCOOP_MPI", "PBS", "LSB", "LS_", "SGE", "JOB_", "PE_HOSTFILE"),
    *("OMP_", "VIRTUAL_ENV", "CONDA_PREFIX"),
)


class Cluster:
    """A directory of stubs: an environment with some MPI, and a scheduler's commands."""

    def __init__(self, directory: Path, mpi: str) -> None:
        self.directory = directory
        self.bin = directory / "venv" / "bin"
        self.bin.mkdir(parents=True)
        self.mpiexec = self.command("mpiexec", 'printf "%s\\n" mpiexec "$@"; exit "${STATUS:-0}"')
        # All that the scripts ask this Python is what find_mpi.py says.
        self.python = self.command("python", f'printf "%s\\n" {mpi} {shlex.quote(self.mpiexec)}')

    def command(self, name: str, script: str) -> str:
        """Make a command of that name; return its path."""
        path = self.bin / name
        path.write_text(f"#!/bin/bash\n{script}\n")
        path.chmod(0o755)
        return str(path)

    def started(self, *arguments: str) -> list[str]:
        """Return what each rank runs, for a program with these arguments."""
        return [self.python, "-m", "scoop_mpi", *arguments]

    def run(self, script: Path, *arguments: str, **variables: str | Path) -> Job:
        """Run a script as a scheduler would; its output is the launcher's arguments, by line."""
        venv = {"SCOOP_MPI_VENV": self.bin.parent}
        return run(["bash", script, *arguments], self.directory, {**venv, **variables})


def run(command: list[str | Path], cwd: Path, variables: Mapping[str, str | Path]) -> Job:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**inherited, **{name: str(value) for name, value in variables.items()}},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    return Job(done.returncode, done.stdout)


def spooled(script: str, directory: Path) -> Path:
    """Return a copy of a script, by another name, as schedulers make one."""
    spool = directory / "spool"
    spool.mkdir()
    return Path(shutil.copy(JOBSCRIPTS / script, spool / "123.SC"))


@pytest.fixture
def mpich(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path, "mpich")


@pytest.fixture
def openmpi(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path, "openmpi")


class TestPBS:
    @pytest.fixture
    def job(self, tmp_path: Path) -> dict[str, str | Path]:
        """Two ranks on each of two hosts, submitted from the checkout."""
        nodefile = tmp_path / "nodefile"
        nodefile.write_text("alpha\nalpha\nbeta\nbeta\n")
        return {"PBS_NODEFILE": nodefile, "PBS_O_WORKDIR": ROOT}

    def test_torque_passes_arguments(self, mpich: Cluster, job: dict[str, str | Path]) -> None:
        done = mpich.run(spooled("pbs.sh", mpich.directory), *ARGUMENTS, **job).check()
        # MPICH's mpiexec reads PBS_NODEFILE itself.
        assert done.output.splitlines() == ["mpiexec", "-n", "4", *mpich.started(*ARGUMENTS)]

    def test_openpbs_passes_a_variable(self, mpich: Cluster, job: dict[str, str | Path]) -> None:
        script = spooled("pbs.sh", mpich.directory)
        done = mpich.run(script, SCOOP_MPI_PROGRAM=shlex.join(ARGUMENTS), **job).check()
        assert done.output.splitlines() == ["mpiexec", "-n", "4", *mpich.started(*ARGUMENTS)]

    def test_openpbs_runs_the_original_after_two_dashes(
        self, mpich: Cluster, job: dict[str, str | Path]
    ) -> None:
        elsewhere = {**job, "PBS_O_WORKDIR": mpich.directory}
        done = mpich.run(JOBSCRIPTS / "pbs.sh", *ARGUMENTS, **elsewhere).check()
        assert done.output.splitlines() == ["mpiexec", "-n", "4", *mpich.started(*ARGUMENTS)]

    def test_open_mpi_is_told_the_hosts(self, openmpi: Cluster, job: dict[str, str | Path]) -> None:
        done = openmpi.run(spooled("pbs.sh", openmpi.directory), "prog.py", **job).check()
        options = ["-n", "4", "--host", "alpha:2,beta:2"]
        assert done.output.splitlines() == ["mpiexec", *options, *openmpi.started("prog.py")]

    def test_fewer_ranks_may_be_started(self, mpich: Cluster, job: dict[str, str | Path]) -> None:
        script = spooled("pbs.sh", mpich.directory)
        done = mpich.run(script, "prog.py", SCOOP_MPI_RANKS="3", **job).check()
        assert done.output.splitlines()[:3] == ["mpiexec", "-n", "3"]

    def test_the_status_is_passed_on(self, mpich: Cluster, job: dict[str, str | Path]) -> None:
        mpich.run(spooled("pbs.sh", mpich.directory), "prog.py", STATUS="3", **job).check(3)

    def test_the_default_is_an_example(self, mpich: Cluster, job: dict[str, str | Path]) -> None:
        done = mpich.run(spooled("pbs.sh", mpich.directory), **job).check()
        program = Path(done.output.splitlines()[-1])
        assert program.resolve() == ROOT / "examples" / "pi_calc.py"
        assert program.exists()


class TestLSF:
    HOSTS = "alpha 3 beta 1"

    def test_a_script_with_arguments(self, mpich: Cluster) -> None:
        done = mpich.run(JOBSCRIPTS / "lsf.sh", *ARGUMENTS, LSB_MCPU_HOSTS=self.HOSTS).check()
        assert done.output.splitlines() == ["mpiexec", "-n", "4", *mpich.started(*ARGUMENTS)]

    def test_a_script_from_standard_input(self, mpich: Cluster) -> None:
        variables: dict[str, str | Path] = {
            "LSB_MCPU_HOSTS": self.HOSTS,
            "LS_SUBCWD": ROOT,
            "SCOOP_MPI_PROGRAM": shlex.join(ARGUMENTS),
        }
        done = mpich.run(spooled("lsf.sh", mpich.directory), **variables).check()
        assert done.output.splitlines() == ["mpiexec", "-n", "4", *mpich.started(*ARGUMENTS)]

    def test_open_mpi_is_told_the_hosts(self, openmpi: Cluster) -> None:
        done = openmpi.run(JOBSCRIPTS / "lsf.sh", "prog.py", LSB_MCPU_HOSTS=self.HOSTS).check()
        options = ["-n", "4", "--host", "alpha:3,beta:1"]
        assert done.output.splitlines() == ["mpiexec", *options, *openmpi.started("prog.py")]

    def test_spectrum_mpi_is_started_by_jsrun(self, tmp_path: Path) -> None:
        spectrum = Cluster(tmp_path, "spectrum")
        spectrum.command("jsrun", 'printf "%s\\n" jsrun "$@"')
        hosts = "launch 1 alpha 42 beta 42"
        done = spectrum.run(JOBSCRIPTS / "lsf.sh", "prog.py", LSB_MCPU_HOSTS=hosts).check()
        options = ["-n", "84", "-a", "1", "-c", "1"]
        assert done.output.splitlines() == ["jsrun", *options, *spectrum.started("prog.py")]


class TestGridEngine:
    def test_a_host_may_be_listed_once_for_each_queue(self, openmpi: Cluster) -> None:
        hostfile = openmpi.directory / "hostfile"
        hostfile.write_text("alpha 2 all.q@alpha UNDEFINED\nbeta 1 q@beta <NULL>\nalpha 1 q@a 0\n")
        variables: dict[str, str | Path] = {
            "PE_HOSTFILE": hostfile,
            "JOB_ID": "1",
            "SGE_O_WORKDIR": ROOT,
        }
        done = openmpi.run(spooled("sge.sh", openmpi.directory), "prog.py", **variables).check()
        options = ["-n", "4", "--host", "alpha:3,beta:1"]
        assert done.output.splitlines() == ["mpiexec", *options, *openmpi.started("prog.py")]


class TestSlurm:
    @staticmethod
    def job(cluster: Cluster, plugins: str) -> dict[str, str | Path]:
        listing = f'echo "MPI plugin types are... {plugins}" >&2'
        show = 'printf "%s\\n" srun "$@"'
        cluster.command("srun", f'if [ "$1" = --mpi=list ]; then {listing}; else {show}; fi')
        cluster.command("squeue", f"echo '{JOBSCRIPTS}/slurm.sh prog.py'")
        return {
            "SLURM_JOB_ID": "1",
            "SLURM_SUBMIT_DIR": cluster.directory,
            "PATH": f"{cluster.bin}:{os.environ['PATH']}",
        }

    @pytest.mark.parametrize(
        ("mpi", "plugin"),
        [
            ("mpich", "pmi2"),
            ("intelmpi", "pmi2"),
            ("mvapich", "pmi2"),
            ("openmpi", "pmix"),
            ("craympich", "cray_shasta"),
        ],
    )
    def test_each_mpi_has_its_plugin(self, mpi: str, plugin: str, tmp_path: Path) -> None:
        cluster = Cluster(tmp_path, mpi)
        job = self.job(cluster, "none pmi2 pmix cray_shasta")
        done = cluster.run(spooled("slurm.sh", tmp_path), "prog.py", **job).check()
        options = [f"--mpi={plugin}", "--kill-on-bad-exit=1"]
        assert done.output.splitlines() == ["srun", *options, *cluster.started("prog.py")]

    def test_a_missing_plugin_is_named(self, openmpi: Cluster) -> None:
        job = self.job(openmpi, "none pmi2")
        done = openmpi.run(spooled("slurm.sh", openmpi.directory), "prog.py", **job).check(2)
        assert "no MPI plugin pmix, which openmpi needs: use slurm_mpiexec.sh" in done.output

    def test_the_user_knows_better(self, mpich: Cluster) -> None:
        job = self.job(mpich, "none pmix")
        script = spooled("slurm.sh", mpich.directory)
        done = mpich.run(script, "prog.py", SLURM_MPI_TYPE="pmix", **job).check()
        assert done.output.splitlines()[:2] == ["srun", "--mpi=pmix"]


class TestWhatIsMissing:
    def test_common_sh(self, mpich: Cluster) -> None:
        script = spooled("lsf.sh", mpich.directory)
        done = mpich.run(script, "prog.py", LSB_MCPU_HOSTS="alpha 1").check(2)
        assert "set SCOOP_MPI_JOBSCRIPTS to the directory of common.sh" in done.output

    def test_the_example(self, mpich: Cluster) -> None:
        copies = mpich.directory / "copies"
        shutil.copytree(JOBSCRIPTS, copies)
        done = mpich.run(copies / "lsf.sh", LSB_MCPU_HOSTS="alpha 1").check(2)
        assert "no program was given, and there is no example" in done.output

    def test_the_environment(self, mpich: Cluster) -> None:
        variables = {"LSB_MCPU_HOSTS": "alpha 1", "SCOOP_MPI_VENV": "/nowhere"}
        done = mpich.run(JOBSCRIPTS / "lsf.sh", "prog.py", **variables).check(2)
        assert "there is no /nowhere/bin/python" in done.output
        assert "set SCOOP_MPI_VENV" in done.output

    def test_mpi4py(self, mpich: Cluster) -> None:
        mpich.command("python", "exit 1")
        done = mpich.run(JOBSCRIPTS / "lsf.sh", "prog.py", LSB_MCPU_HOSTS="alpha 1").check(2)
        assert "can't load mpi4py" in done.output

    @pytest.mark.parametrize(
        "script", ["slurm.sh", "slurm_mpiexec.sh", "sge.sh", "pbs.sh", "lsf.sh"]
    )
    def test_a_job(self, script: str, mpich: Cluster) -> None:
        done = mpich.run(JOBSCRIPTS / script, "prog.py")
        assert done.status != 0
        assert "not within a" in done.output
        assert "mpiexec" not in done.output.splitlines()


class TestRealRanks:
    """The MPI of this Python, told that it is in a job of two slots on this host."""

    VARIABLES: Mapping[str, str | Path] = {
        **OPEN_MPI_SETTINGS,
        "PYTHONPATH": ROOT,
        "VIRTUAL_ENV": sys.prefix,
    }

    @staticmethod
    def check(job: Job) -> None:
        report = job.check(3).report
        assert report.ranks == [0, 1]
        assert report.arguments == ["a b", ":"]
        assert report.threads == ["1"]

    def test_in_a_pbs_job(self, tmp_path: Path) -> None:
        (tmp_path / "program.py").write_text(PROGRAM)
        (tmp_path / "nodefile").write_text("localhost\nlocalhost\n")
        variables: dict[str, str | Path] = {
            "PBS_ENVIRONMENT": "PBS_BATCH",
            "PBS_JOBID": "1.server",
            "PBS_NODEFILE": tmp_path / "nodefile",
            "PBS_O_WORKDIR": tmp_path,
        }
        command: list[str | Path] = [JOBSCRIPTS / "pbs.sh", "program.py", "3", "a b", ":"]
        self.check(run(command, Path.home(), {**self.VARIABLES, **variables}))

    def test_in_an_lsf_job(self, tmp_path: Path) -> None:
        (tmp_path / "program.py").write_text(PROGRAM)
        variables: dict[str, str | Path] = {"LSB_JOBID": "1", "LSB_MCPU_HOSTS": "localhost 2"}
        command: list[str | Path] = [JOBSCRIPTS / "lsf.sh", "program.py", "3", "a b", ":"]
        self.check(run(command, tmp_path, {**self.VARIABLES, **variables}))


@pytest.mark.parametrize(
    ("script", "variables", "expected"),
    [
        ("slurm_mpiexec.sh", {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "2"}, "scontrol requeue 7"),
        ("pbs.sh", {"PBS_JOBID": "7.host", "PBS_NODEFILE": "hosts"}, "qrerun 7.host"),
        ("lsf.sh", {"LSB_JOBID": "7", "LSB_MCPU_HOSTS": "alpha 2"}, "brequeue 7"),
        ("sge.sh", {"JOB_ID": "7", "NSLOTS": "2", "PE_HOSTFILE": "hosts"}, None),
    ],
)
def test_a_job_that_has_drained_is_started_again_if_asked(
    script: str, variables: dict[str, str], expected: str | None, tmp_path: Path
) -> None:
    mpich = Cluster(tmp_path, "mpich")
    (tmp_path / "hosts").write_text("alpha 2\n")
    for name in ("scontrol", "qrerun", "brequeue"):
        mpich.command(name, f'echo {name} "$@"')
    mpich.command("squeue", f"echo {JOBSCRIPTS / script}")
    path: dict[str, str | Path] = {
        "PATH": f"{mpich.bin}:{os.environ['PATH']}",
        "SCOOP_MPI_JOBSCRIPTS": JOBSCRIPTS,
    }
    given: dict[str, str | Path] = {**variables, **path}
    asked: dict[str, str | Path] = {**given, "SCOOP_MPI_REQUEUE": "1"}
    done = mpich.run(JOBSCRIPTS / script, "prog.py", STATUS="75", **asked)
    assert (done.output.splitlines()[-1] == expected) == (expected is not None)
    done.check(99 if expected is None else 0)
    mpich.run(JOBSCRIPTS / script, "prog.py", STATUS="75", **given).check(75)
    for status in (0, 3):
        done = mpich.run(JOBSCRIPTS / script, "prog.py", STATUS=str(status), **asked).check(status)
        assert expected not in done.output.splitlines()
