"""What a rank has last heard and said: kept in words, and not for ever."""

from __future__ import annotations

import weakref

from scoop_mpi.observe.event_log import EventLog
from scoop_mpi.wire.messages import Returned, Stop


def test_events_are_told_in_order_with_their_times() -> None:
    times = iter([0.5, 1.25])
    log = EventLog(lambda: next(times))
    log.add("from rank 3:", Stop())
    log.add("the program has ended")
    assert str(log) == "0.500000 from rank 3: Stop()\n1.250000 the program has ended"


def test_it_is_bounded_and_counts_all() -> None:
    log = EventLog(lambda: 0.0, most=3)
    for number in range(10):
        log.add(f"event {number}")
        log.add("from rank 1:", Stop())
    lines = str(log).splitlines()
    assert lines[0] == "(17 before these)"
    assert len(lines) == 4
    assert log.counts["from rank 1: Stop"] == 10


def test_long_messages_are_cut_short() -> None:
    log = EventLog(lambda: 0.0)
    log.add("from rank 1:", Returned(0, 1, "x" * 10_000, False))
    assert len(str(log)) < 200


class Awkward:
    def __repr__(self) -> str:
        raise KeyError("no repr")


def test_an_object_that_cant_be_told_is_named() -> None:
    log = EventLog(lambda: 0.0)
    log.add("took", Awkward())
    assert "Awkward" in str(log)


def test_no_object_is_held() -> None:
    class Value:
        pass

    log = EventLog(lambda: 0.0)
    value = Value()
    reference = weakref.ref(value)
    log.add("from rank 1:", Returned(0, 1, value, False))
    del value
    assert reference() is None
