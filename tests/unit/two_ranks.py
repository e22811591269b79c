"""Two ranks without MPI: a program runs as on the root, and has calls made as on a worker.

Both processes load the program as ranks do. What a call needs, and how it ends, crosses between
them as `scoop_mpi.wire.serializer` has it, through pipes:

    run_program(path)                      a test starts the root, which runs the program
        elsewhere(function, *arguments)    the program has the worker make a call
"""

from __future__ import annotations

import functools
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from scoop_mpi.job.program import Program
from scoop_mpi.transport.frames import bytes_of
from scoop_mpi.wire.serializer import (
    FunctionCodec,
    Payload,
    decode,
    decode_error,
    encode,
    encode_error,
)

CHECKOUT = Path(__file__).resolve().parents[2]
TIMEOUT = 60.0  # seconds that a program may take

_codec = FunctionCodec()


def run_program(path: Path, *arguments: str) -> str:
    """Run a program on two ranks; return what it printed. Fails if it fails."""
    done = subprocess.run(
        [sys.executable, "-m", __name__, "root", str(path), *arguments],
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def elsewhere(function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
    """Return what a call returns on the worker, or raise what it raises there.

    Raises:
        SerializationError: something can't travel.
    """
    worker = _worker(sys.argv[0])
    call = _codec.seal(function), encode((arguments, keywords))
    _write(worker.stdin, tuple(map(_on_the_wire, call)))
    value, error = _read(worker.stdout)
    if error is not None:
        raise decode_error(error)
    return decode(value)


@functools.cache
def _worker(path: str) -> Any:
    """Start the worker, which ends when this process does."""
    command = [sys.executable, "-m", "tests.unit.two_ranks", "worker", path]
    return subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _serve(calls: BinaryIO, outcomes: BinaryIO) -> None:
    """Make calls until there are no more."""
    while True:
        try:
            function, arguments = _read(calls)
        except EOFError:
            return
        value, error = None, None
        try:
            positional, keywords = decode(arguments)
            value = _on_the_wire(encode(_codec.open(function)(*positional, **keywords)))
        except BaseException as raised:
            error = encode_error(raised, 1, "elsewhere")
            if error.payload is not None:
                error = error._replace(payload=_on_the_wire(error.payload))
        _write(outcomes, (value, error))


def _on_the_wire(payload: Payload) -> Payload:
    data, buffers = payload
    return bytes(bytes_of(data)), tuple(bytearray(bytes_of(buffer)) for buffer in buffers)


def _write(pipe: BinaryIO, thing: Any) -> None:
    pickle.dump(thing, pipe)
    pipe.flush()


def _read(pipe: BinaryIO) -> Any:
    return pickle.load(pipe)


def _main(part: str, path: str, *arguments: str) -> None:
    program = Program("script", path, arguments)
    if part == "root":
        program.run()
        return
    calls, outcomes = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # for what the program prints
    program.import_()
    _serve(calls, outcomes)


if __name__ == "__main__":
    _main(*sys.argv[1:])
