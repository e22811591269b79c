"""An open file of this process, that a rank on the same host is to open anew.

What a process has open lies in /proc, for others of the same user:

    the process that starts the ranks   place(3)           -->   "1234 3 12 98765"
    a rank, which finds that in a variable                  -->   /proc/1234/fd/3, opened
"""

from __future__ import annotations

import os


def place(descriptor: int) -> str:
    """Return what tells another process where a file of this one's is, and which it is."""
    status = os.fstat(descriptor)
    return " ".join(map(str, (os.getpid(), descriptor, status.st_dev, status.st_ino)))


def reopen(place: str, flags: int) -> int:
    """Open another process's file anew, and return the descriptor.

    Args:
        place: where it is.
        flags: as of `os.open`.

    Raises:
        OSError: it isn't there any more, or is on another host, or can't be opened.
    """
    process, number, device, inode = map(int, place.split())
    path = f"/proc/{process}/fd/{number}"
    descriptor = os.open(path, flags)
    status = os.fstat(descriptor)
    if (status.st_dev, status.st_ino) != (device, inode):
        os.close(descriptor)
        raise FileNotFoundError(f"{path} is another file")
    return descriptor
