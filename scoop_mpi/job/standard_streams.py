"""This process's standard input, output and error, as a shell, a launcher and a program leave them.

Any of the three may be closed, and the root alone has an input. A program that comes by standard
input is read here, and handed on to where it is run.
"""

from __future__ import annotations

import logging
import os
import select
import zlib

from scoop_mpi.errors import StartError

_INPUT = 0
_ALL = (0, 1, 2)
# Around a program that is handed on to the root by a launcher, as no program can hold a null
# character. Open MPI's mpiexec never tells a rank that its input has ended, and MPICH's gives up
# when there is more of it than a pipe holds before the rank, which takes a while to start, has read
# any: so the program is compressed.
_BEGIN, _END = b"\0scoop_mpi program\0", b"\0end of scoop_mpi program\0"
_MOST_BYTES = 60_000
_BLOCK_BYTES = 1 << 16
_SECONDS_TO_WONDER = 5.0  # after which somebody who waits for input says so


def occupy_closed() -> None:
    """Open /dev/null where a standard stream was closed, as by ``>&-``.

    Python's own streams stay as they are: None. But the next file or socket, of a launcher or of
    the MPI, would get that number, and what C code prints would go there.
    """
    for number in _ALL:
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
            os.set_inheritable(number, True)


def leave_input_to_root() -> None:
    """Give this process an empty standard input.

    Where a launcher has given a worker a pipe that nobody writes to, it would wait for ever.
    """
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, _INPUT)
    os.close(null)


def read_program(logger: logging.Logger) -> bytes:
    """Return the program that comes by standard input.

    Args:
        logger: where it is said that the input doesn't end.
    """
    text = bytearray()
    may_wonder = not os.isatty(_INPUT)
    while not text.endswith(_END):
        if may_wonder and not select.select([_INPUT], [], [], _SECONDS_TO_WONDER)[0]:
            may_wonder = False
            logger.warning(
                "The program comes by standard input, which has not ended yet. Open MPI's mpiexec "
                "never tells its end: name a file, or leave mpiexec to scoop_mpi: "
                "python -m scoop_mpi -n N -"
            )
        block = os.read(_INPUT, _BLOCK_BYTES)
        if not block:
            return bytes(text)
        text += block
    return zlib.decompress(text[len(_BEGIN) : -len(_END)])


def hand_on_program() -> None:
    """Read the program that comes by standard input, and put it there again for a launcher.

    Raises:
        StartError: it is too large for that.
    """
    text = bytearray()
    while block := os.read(_INPUT, _BLOCK_BYTES):
        text += block
    packed = _BEGIN + zlib.compress(text) + _END
    if len(packed) > _MOST_BYTES:
        raise StartError(
            f"the program that comes by standard input is too large to be handed on, with "
            f"{len(text)} bytes: put it into a file"
        )
    reader, writer = os.pipe()  # which holds that much
    os.write(writer, packed)
    os.close(writer)
    os.dup2(reader, _INPUT)
    os.close(reader)
