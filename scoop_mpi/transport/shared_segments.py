"""The memory by which MPICH's ranks on one node reach each other, which a killed job would leave.

It is a file in /dev/shm, of a few MiB, whose name MPICH removes in MPI_Finalize. A killed job never
comes there, and the memory would be taken until the machine is started anew. But once MPI is up on
all ranks of the node, each has mapped the file, and none needs its name any more. Without one, the
memory goes with the last process that has it.

Other MPIs do so themselves, or have helpers that tidy up.
"""

from __future__ import annotations

import os
import re

_MAPS = "/proc/self/maps"
# address, permissions, offset, device, inode, path. "(deleted)" follows if it has no name any more.
_MAPPED = r"(?m)^(?:\S+\s+){5}(/dev/shm/mpich_shm_\w+)$"


def remove_names() -> None:
    """Remove the names of the segments that this process has mapped.

    For one rank of each node, once all have been through MPI_Init.
    """
    if not os.path.exists(_MAPS):
        return
    with open(_MAPS) as file:
        for path in set(re.findall(_MAPPED, file.read())):
            try:
                os.unlink(path)
            except FileNotFoundError:  # MPICH, or who tidies up there, has been faster
                continue
