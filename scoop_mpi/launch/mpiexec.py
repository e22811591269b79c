"""The MPI's own launcher: which one belongs to the installed MPI, and its command line.

A machine often has several programs of that name: a virtual environment's, the system's, a
module's. One of another MPI starts processes that don't find each other. So the one that lies
beside the MPI library comes first, then the one beside Python, then those on PATH; and whichever
it is must call itself one of that MPI.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from scoop_mpi.errors import StartError
from scoop_mpi.launch.hosts import Host
from scoop_mpi.launch.mpi_library import Family, MPILibrary
from scoop_mpi.launch.request import LINE

_SECONDS_TO_ANSWER = 60
# What a launcher's --version holds, by the MPI that it can start.
_SIGNS = {
    Family.MPICH: ("HYDRA", "MPICH"),
    Family.MVAPICH: ("HYDRA", "MVAPICH"),
    Family.INTEL: ("Intel(R) MPI",),
    Family.CRAY: ("PALS", "mpiexec version"),
    Family.SPECTRUM: ("Spectrum MPI",),
    Family.OPEN_MPI: ("Open MPI", "OpenRTE"),
    Family.OTHER: ("",),
}
# Debian has the launchers of several MPIs side by side, under names of their own.
_NAMES = {
    Family.MPICH: ("mpiexec.mpich", "mpiexec", "mpiexec.hydra", "mpirun"),
    Family.OPEN_MPI: ("mpiexec.openmpi", "mpiexec", "mpirun"),
    Family.INTEL: ("mpiexec.hydra", "mpiexec", "mpirun"),
}
_USUAL_NAMES = ("mpiexec", "mpirun")
# Open MPI's launcher passes the environment to other hosts only where told.
_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "PYTHONHASHSEED", "PYTHONPATH", "VIRTUAL_ENV")
# Arguments of the program's that launchers take for themselves, or change, wherever they stand: one
# separates programs, Open MPI's spells the next four anew, Intel's reads a file.
_TAKEN = frozenset(
    {":", "--bind-to", "--map-by", "--rank-by", "--runtime-options", "-configfile", "--configfile"}
)
_MOST_WORDS = 500  # with some thousands Intel MPI's launcher crashes
_MOST_CHARACTERS = 60_000  # in one argument: Linux allows 128 KiB
_ALLOW_ROOT = frozenset({"OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"})


def find(library: MPILibrary, python: str, path: str) -> str:
    """Return the launcher that belongs to `library`.

    Args:
        library: the MPI that the ranks will load.
        python: the interpreter that they will be run by.
        path: the folders of PATH.

    Raises:
        StartError: there is none.
    """
    refused = []
    for candidate in _candidates(library, python, path):
        if any(sign in _version(candidate) for sign in _SIGNS[library.family]):
            return candidate
        refused.append(candidate)
    name = library.family.value
    found = f" What was found is another MPI's: {', '.join(refused)}." if refused else ""
    raise StartError(
        f"there is no mpiexec of {name}, which mpi4py uses, neither beside its library nor beside "
        f"{python} nor on PATH.{found} Start the job with {name}'s own launcher, as in: "
        "srun -n 4 python -m scoop_mpi prog.py; or run one rank with -n 1."
    )


def _candidates(library: MPILibrary, python: str, path: str) -> Iterator[str]:
    # <prefix>/lib/libmpi.so, or deeper: <prefix>/lib/x86_64-linux-gnu/openmpi/lib/libmpi.so
    folders = [prefix / "bin" for file in library.files for prefix in list(Path(file).parents)[1:5]]
    folders.append(Path(python).parent)
    folders.extend(Path(folder) for folder in path.split(os.pathsep) if folder)
    for folder in dict.fromkeys(folders):
        for name in _NAMES.get(library.family, _USUAL_NAMES):
            candidate = folder / name
            if os.access(candidate, os.X_OK):
                yield str(candidate)


def _version(launcher: str) -> str:
    """Return what a launcher says of itself; nothing if it doesn't."""
    try:
        answer = subprocess.run(
            [launcher, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS_TO_ANSWER,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout + answer.stderr


def options(
    family: Family,
    ranks: int,
    hosts: Sequence[Host],
    given: Sequence[str],
    has_room: bool,
    environment: Iterable[str],
) -> list[str]:
    """Return the options with which the launcher of an MPI starts a job.

    Args:
        family: which MPI.
        ranks: how many ranks.
        hosts: where, and how many on each; none: where the launcher chooses.
        given: options of the user's own. They go before ours; where to put and bind ranks they
            replace ours.
        has_room: whether a scheduler has given as many slots as there are ranks.
        environment: the names of the variables that are set.
    """
    chosen = ["-n", str(ranks)]
    if hosts:
        places = ",".join(f"{host.name}:{host.ranks}" for host in hosts)
        chosen += ["--host" if family.is_open_mpi else "-hosts", places]
    if not family.is_open_mpi:
        return [*given, *chosen]
    if not has_room:
        # Its slots are physical cores, and it refuses to start more ranks than that, or to bind
        # them. How many there are is settled here; where each runs the kernel knows best.
        named = {word.lstrip("-").partition("=")[0] for word in given}
        for option, value in (("map-by", ":OVERSUBSCRIBE"), ("bind-to", "none")):
            if option not in named:
                chosen += [f"--{option}", value]
    if hosts:
        for name in sorted(set(_PASSED_ON).intersection(environment)):
            chosen += ["-x", name]
    return [*given, *chosen]


def protected(words: Sequence[str]) -> list[str]:
    """Return a command line of ours so that a launcher passes it on as it is.

    As itself, wherever that will do: people read it in the lists of processes. Else it is quoted as
    for a shell, in one word or a few, which `command_line` understands.
    """
    if len(words) <= _MOST_WORDS and not _TAKEN.intersection(words):
        return list(words)
    lines: list[str] = []
    for word in map(shlex.quote, words):
        if lines and len(lines[-1]) + len(word) < _MOST_CHARACTERS:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return [f"{LINE}={line}" for line in lines]


def by_host(hosts: Iterable[Host], program: Sequence[str]) -> list[str]:
    """Return what Intel MPI's launcher is told where there are hosts: each host's part of the job.

    In `-hosts alpha:1,beta:3` it ignores the numbers, and a number with a single host it takes for
    a part of the name. A file of hosts it would understand.

    Args:
        hosts: where, and how many ranks on each.
        program: what each rank runs.
    """
    words: list[str] = []
    for host in hosts:
        words += [":", "-host", host.name, "-n", str(host.ranks), *program]
    return words[1:]


def refusal_of_root(
    family: Family, user_id: int, given: Sequence[str], environment: Iterable[str]
) -> str | None:
    """Return why the launcher would refuse to start a job as this user, and how to allow it.

    Open MPI's does so to root, in many more words. None: it would not.
    """
    if user_id != 0 or family is not Family.OPEN_MPI or "--allow-run-as-root" in given:
        return None
    if not _ALLOW_ROOT.difference(environment):
        return None
    return (
        "Open MPI's mpiexec refuses to run as root, where a mistake can harm the whole machine. "
        "Run as another user; or, in a container that has no other, first: export "
        + " ".join(f"{name}=1" for name in sorted(_ALLOW_ROOT))
    )
