"""Standard output and error: whole lines, whatever the program has made of them."""

from __future__ import annotations

import io
import os
from typing import Any

import pytest

from scoop_mpi.observe import log
from scoop_mpi.system import streams


class Pieces(io.RawIOBase):
    """Keeps what is written, piece by piece."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.pieces.append(bytes(data))
        return len(data)


class Odd:
    """A stream whose every method raises what is no Exception."""

    def __getattr__(self, name: str) -> Any:
        raise SystemExit(9)


UNUSABLE = {
    "none": lambda: None,
    "closed": lambda: _closed(io.TextIOWrapper(io.BytesIO())),
    "detached": lambda: _detached(io.TextIOWrapper(io.BytesIO())),
    "without methods": object,
    "that raises": Odd,
}


def _closed(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    stream.close()
    return stream


def _detached(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    stream.detach()
    return stream


@pytest.fixture(params=UNUSABLE)
def unusable(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard output and error that can't be used."""
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(f"sys.{name}", UNUSABLE[request.param]())


@pytest.mark.parametrize("is_unbuffered", [False, True])
def test_a_line_is_written_when_it_is_complete_and_in_one_piece(
    is_unbuffered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = Pieces()
    below: Any = raw if is_unbuffered else io.BufferedWriter(raw)
    stream = io.TextIOWrapper(below, write_through=is_unbuffered)
    monkeypatch.setattr("sys.stdout", stream)
    streams.buffer_lines()
    print("a", "line", end="")
    assert raw.pieces == []
    print()
    print("another")
    assert raw.pieces == [b"a line\n", b"another\n"]


@pytest.mark.usefixtures("unusable")
def test_a_flush_never_fails() -> None:
    streams.flush()


@pytest.mark.usefixtures("unusable")
def test_errors_go_to_the_descriptor_where_the_stream_fails(
    capfd: pytest.CaptureFixture[str],
) -> None:
    streams.write_error("so be it\n")
    assert capfd.readouterr().err == "so be it\n"


@pytest.mark.usefixtures("unusable")
def test_a_closed_descriptor_silences_errors() -> None:
    kept = os.dup(2)
    os.close(2)
    try:
        streams.write_error("so be it\n")
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@pytest.mark.usefixtures("unusable")
@pytest.mark.parametrize(
    ("message", "arguments", "text"),
    [("%d tasks", (3,), "WARNING: 3 tasks\n"), ("%d tasks", ("x",), "can't log '%d tasks'\n")],
)
def test_the_log_never_fails(
    message: str, arguments: tuple[Any], text: str, capfd: pytest.CaptureFixture[str]
) -> None:
    log.configure(1, "node1", 0).warning(message, *arguments)
    assert text in capfd.readouterr().err
