"""Memory that the ranks of a node share: placed by one process, mapped by others."""

from __future__ import annotations

import logging
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from scoop_mpi.engine import placing
from scoop_mpi.engine.placing import NodeMemory
from scoop_mpi.state.constants import sendable
from scoop_mpi.transport import node_memory
from scoop_mpi.transport.node_memory import Place, Segment, map_place
from scoop_mpi.wire.constant_values import seal
from scoop_mpi.wire.messages import ConstantsPublished
from tests.launch import ROOT

LIMIT = 30  # seconds for another process

MAP_AND_PRINT = """
import sys
from scoop_mpi.transport.node_memory import Place, map_place
(view,) = map_place(Place(*eval(sys.argv[1])))
print(bytes(view[:5]).decode(), flush=True)
sys.stdin.read()
print(bytes(view[-5:]).decode())
"""


@pytest.fixture(params=["memfd", "tmpfile"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the test with both ways to get a nameless file in memory."""
    if request.param == "tmpfile":
        monkeypatch.delattr(os, "memfd_create", raising=False)
    elif not hasattr(os, "memfd_create"):
        pytest.skip("this Python was built for a C library without memfd_create")
    return str(request.param)


@contextmanager
def most_bytes_in_a_file(limit: int) -> Iterator[None]:
    """Have the kernel refuse larger files, those in memory included."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def message_of(version: int, **values: object) -> ConstantsPublished:
    return sendable(
        ConstantsPublished(version, 0, 1, {name: seal(value) for name, value in values.items()})
    )


@pytest.mark.parametrize("lengths", [[1], [64], [100, 0, 1 << 20, 7], [65] * 300])
def test_buffers_come_out_as_they_went_in(kind: str, lengths: list[int]) -> None:
    buffers = [os.urandom(length) for length in lengths]
    segment = Segment([memoryview(buffer) for buffer in buffers])
    views = map_place(segment.place)
    segment.close()
    assert [bytes(view) for view in views] == buffers


def test_buffers_are_aligned_for_numpy() -> None:
    segment = Segment([memoryview(bytes(length)) for length in (1, 8, 65)])
    for view in map_place(segment.place):
        assert np.frombuffer(view, np.uint8).ctypes.data % 64 == 0
    segment.close()


def test_views_are_read_only() -> None:
    segment = Segment([memoryview(bytes(8))])
    (view,) = map_place(segment.place)
    segment.close()
    assert view.readonly
    array = np.frombuffer(view)
    with pytest.raises(ValueError, match="cannot set WRITEABLE"):
        array.flags.writeable = True


def test_another_process_maps_the_memory_and_keeps_it(kind: str) -> None:
    segment = Segment([memoryview(b"first" + bytes(100_000) + b"last.")])
    with subprocess.Popen(
        [sys.executable, "-c", MAP_AND_PRINT, repr(tuple(segment.place))],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "first\n"
            segment.close()
            output, _ = process.communicate(timeout=LIMIT)
        finally:
            process.kill()
    assert output == "last.\n"


def test_the_memory_has_no_name(kind: str) -> None:
    before = set(os.listdir("/dev/shm"))
    segment = Segment([memoryview(bytes(100_000))])
    views = map_place(segment.place)
    assert set(os.listdir("/dev/shm")) <= before
    assert "(deleted)" in os.readlink(f"/proc/self/fd/{segment.place.descriptor}")
    segment.close()
    del views


def test_no_descriptor_is_left_open(kind: str) -> None:
    before = descriptors()
    segment = Segment([memoryview(bytes(100_000))])
    views = map_place(segment.place)
    segment.close()
    del views, segment
    assert descriptors() == before


def test_a_mapping_lives_as_long_as_a_view_of_it() -> None:
    segment = Segment([np.arange(100_000).data])
    (view,) = map_place(segment.place)
    segment.close()
    array = np.frombuffer(view, int)[50_000:]
    del view
    assert array[0] == 50_000


@pytest.mark.parametrize(
    "make_wrong",
    [
        lambda place: place._replace(descriptor=999_999),
        lambda place: place._replace(process=2**22 + 1),  # more than any process's number
        lambda place: place._replace(identity=(1, 2)),
    ],
    ids=["descriptor", "process", "identity"],
)
def test_a_place_that_is_not_what_it_says_is_an_error(
    make_wrong: Callable[[Place], Place],
) -> None:
    segment = Segment([memoryview(bytes(8))])
    with pytest.raises(FileNotFoundError):
        map_place(make_wrong(segment.place))
    segment.close()


def test_a_place_that_is_something_else_by_now_is_not_opened(tmp_path: Path) -> None:
    """Opening a pipe for reading would wait for somebody to write."""
    os.mkfifo(tmp_path / "pipe")
    descriptor = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(FileNotFoundError, match="not what the node's leader has placed"):
        map_place(Place(os.getpid(), descriptor, (0, 0), (8,)))
    os.close(descriptor)


def test_too_little_memory_is_an_error_and_no_crash(kind: str) -> None:
    """Without a reservation the first write beyond would be a SIGBUS."""
    before = descriptors()
    assert signal.getsignal(signal.SIGXFSZ) == signal.SIG_IGN  # as Python sets it
    with most_bytes_in_a_file(1 << 20), pytest.raises(OSError, match="File too large"):
        Segment([memoryview(bytes(2 << 20))])
    assert descriptors() == before


@pytest.mark.skipif(os.getuid() != 0, reason="mounting a small /dev/shm takes root")
def test_a_full_dev_shm_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setattr(node_memory, "_DIRECTORY", str(tmp_path))
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, timeout=LIMIT, check=False).returncode != 0:
        pytest.skip("this container doesn't allow to mount")
    try:
        with pytest.raises(OSError, match="No space left"):
            Segment([memoryview(bytes(2 << 20))])
        Segment([memoryview(bytes(1 << 19))]).close()
    finally:
        subprocess.run(["umount", str(tmp_path)], timeout=LIMIT, check=True)


def test_a_message_is_placed_and_opened() -> None:
    memory = NodeMemory(logging.getLogger("test"))
    array = np.arange(300_000)
    placed = memory.place(message_of(3, table=[array, "text"], number=5))
    assert placed is not None
    assert placed.version == 3
    assert len(placed.head) < 1000
    message = memory.open(placed)
    memory.release(3)
    assert message.version == 3
    assert set(message.values) == {"table", "number"}


def test_it_is_said_once_if_there_is_no_memory(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    memory = NodeMemory(logging.getLogger("test"))
    with most_bytes_in_a_file(1 << 20):
        for version in (1, 2):
            assert memory.place(message_of(version, table=np.ones(300_000))) is None
    (record,) = caplog.records
    assert "copied to each rank (OSError: [Errno 27] File too large)" in record.getMessage()


def test_descriptors_are_not_used_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placing, "MOST_SEGMENTS", 3)
    memory = NodeMemory(logging.getLogger("test"))
    placed = [memory.place(message_of(version, table=np.ones(3000))) for version in range(4)]
    assert [place is not None for place in placed] == [True, True, True, False]
    for version in range(3):
        memory.release(version)
