"""Print which MPI this Python's mpi4py uses, and that MPI's own mpiexec: two lines.

For the job scripts. It loads the MPI library, but doesn't start MPI. What isn't known is an empty
line.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import mpi4py

mpi4py.rc.initialize = False

from mpi4py import MPI  # noqa: E402 - after it was told not to start MPI

# What a library calls itself, the more special names first: most of them are a kind of MPICH.
NAMES = {
    "Intel(R) MPI": "intelmpi",
    "CRAY MPICH": "craympich",
    "MVAPICH": "mvapich",
    "Spectrum MPI": "spectrum",
    "Open MPI": "openmpi",
    "MPICH": "mpich",
}


def mpi_name() -> str:
    """Return one of the names above, or nothing."""
    version = MPI.Get_library_version()
    return next((name for words, name in NAMES.items() if words in version), "")


def mpiexec(name: str) -> str:
    """Return the mpiexec that was installed with the library, else the first on PATH.

    The first on PATH may be another MPI's: a virtual environment can bring an MPI of its own beside
    the system's, and a system can have two. Debian then calls them mpiexec.mpich, mpiexec.openmpi.
    """
    commands = (f"mpiexec.{name}", "mpiexec", "mpirun")
    for library in loaded_libraries():
        # <prefix>/lib/libmpi.so, or deeper: <prefix>/lib/x86_64-linux-gnu/openmpi/lib/libmpi.so
        for prefix in list(library.parents)[1:5]:
            for command in commands:
                candidate = prefix / "bin" / command
                if os.access(candidate, os.X_OK):
                    return str(candidate)
    return next(filter(None, map(shutil.which, commands)), "")


def loaded_libraries() -> list[Path]:
    """Return the files of the MPI libraries that this process has loaded."""
    maps = Path("/proc/self/maps").read_text().splitlines()
    # address, permissions, offset, device, inode, path
    paths = {line.split(maxsplit=5)[5] for line in maps if "/libmpi" in line}
    return [Path(path) for path in sorted(paths)]


if __name__ == "__main__":
    name = mpi_name()
    sys.stdout.write(f"{name}\n{mpiexec(name)}\n")
