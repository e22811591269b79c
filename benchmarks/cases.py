"""What is measured: the contestants of each case, on how much work, and the figures to be reached.

This is all data. A contestant names a measurement, a function of `measurements` or `raw`, and its
arguments. A figure is one metric of scoop_mpi's, mostly divided by one of another contestant of the
same round.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Unit = Literal["s", "bytes", "bytes/s", "tasks/s", "share", "times"]


@dataclass(frozen=True, slots=True)
class Contestant:
    """One peer, with one thing to measure.

    Attributes:
        name: what it is called in tables and plots; unique within the case.
        peer: the name of the peer, as in `peers.PEERS`.
        workers: how many processes compute; a parameter `ranks` says it of measurements that start
            jobs themselves.
        measurement: the name of a function.
        parameters: its keyword arguments.
        short: those that are different in a short run.
        in_each_mpi: whether it is measured with each MPI though its job is none of MPI's.
        is_in_short: whether short runs have it.
        limit: seconds that its job may take.
    """

    name: str
    peer: str
    workers: int
    measurement: str
    parameters: Mapping[str, Any]
    short: Mapping[str, Any] = field(default_factory=dict)
    in_each_mpi: bool = False
    is_in_short: bool = True
    limit: float = 240.0

    def arguments(self, is_short: bool) -> dict[str, Any]:
        """Return the measurement's keyword arguments."""
        return {**self.parameters, **(self.short if is_short else {})}


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound for a figure."""

    bound: float
    is_upper: bool

    def is_reached(self, value: float) -> bool:
        """Whether a value is on the right side of the bound."""
        return value <= self.bound if self.is_upper else value >= self.bound


def at_most(bound: float) -> Goal:
    """The figure should not exceed this."""
    return Goal(bound, True)


def at_least(bound: float) -> Goal:
    """The figure should not fall below this."""
    return Goal(bound, False)


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that the table shows.

    Attributes:
        what: in words.
        contestant: whose metric it is.
        metric: its name.
        unit: of the metric.
        beside: contestant and metric that it is divided by; None: it stands for itself.
        goal: for the ratio, or for the metric that stands for itself.
    """

    what: str
    contestant: str
    metric: str
    unit: Unit
    beside: tuple[str, str] | None = None
    goal: Goal | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """Things that are measured beside each other.

    Attributes:
        name: for the command line.
        title: for the report.
        contestants: each is measured once in every round.
        figures: what to make of it.
        is_long: whether only ``--full`` has it.
    """

    name: str
    title: str
    contestants: tuple[Contestant, ...]
    figures: tuple[Figure, ...]
    is_long: bool = False

    def participants(self, is_short: bool) -> list[Contestant]:
        """Return the contestants of a run."""
        return [it for it in self.contestants if it.is_in_short or not is_short]


OURS = "scoop_mpi"
_MB = 1_000_000
_MIB = 1 << 20

_FIB = {"n": 25, "repeats": 5}
_FIB_SHORT = {"n": 16, "repeats": 2}

_fib = Case(
    "fib",
    "Nested tasks: two submit, two result, recursively",
    (
        Contestant("1 rank", OURS, 1, "nested", _FIB, _FIB_SHORT),
        Contestant("2 ranks", OURS, 2, "nested", _FIB, _FIB_SHORT),
        Contestant(
            "SCOOP 0.7",
            "SCOOP 0.7",
            2,
            "nested_scoop",
            {"n": 18, "repeats": 1},
            is_in_short=False,
        ),
    ),
    (
        Figure(
            "a nested task, in plain recursive calls",
            "1 rank",
            "task_seconds",
            "s",
            ("1 rank", "call_seconds"),
            at_most(10),
        ),
        Figure(
            "the same",
            "2 ranks",
            "task_seconds",
            "s",
            ("2 ranks", "call_seconds"),
            at_most(10),
        ),
        Figure(
            "a nested task, beside SCOOP 0.7",
            "2 ranks",
            "task_seconds",
            "s",
            ("SCOOP 0.7", "task_seconds"),
        ),
    ),
)

_roundtrip = Case(
    "roundtrip",
    "Round trip of one task to another rank: submit, then poll done()",
    (
        Contestant(OURS, OURS, 2, "poll_round_trip", {"count": 20_000}, {"count": 1000}),
        Contestant("mpi4py", "mpi4py", 2, "ping_pong", {"count": 20_000}, {"count": 1000}),
    ),
    (
        Figure(
            "round trip, median, beside mpi4py's pickled ping-pong",
            OURS,
            "p50",
            "s",
            ("mpi4py", "p50"),
            at_most(4),
        ),
        Figure("round trip, 99th percentile", OURS, "p99", "s", ("mpi4py", "p99")),
    ),
)

_SUBMIT = {"count": 100_000}
_SUBMIT_SLOWLY = {"count": 5000}
_SUBMIT_SHORT = {"count": 200}

_submit = Case(
    "submit",
    "submit(noop).result() in a loop",
    (
        Contestant(OURS, OURS, 2, "submit_result", _SUBMIT, _SUBMIT_SHORT),
        *(
            Contestant(peer, peer, 2, "submit_result", _SUBMIT_SLOWLY, _SUBMIT_SHORT)
            for peer in ("ProcessPoolExecutor", "multiprocessing.Pool", "mpi4py.futures", "loky")
        ),
        *(
            Contestant(peer, peer, 2, "submit_result", {"count": 1000}, is_in_short=False)
            for peer in ("SCOOP 0.7", "Dask", "Ray")
        ),
    ),
    (
        Figure("submit and result, on average", OURS, "mean", "s", None, at_most(3e-6)),
        Figure(
            "the same beside ProcessPoolExecutor",
            OURS,
            "mean",
            "s",
            ("ProcessPoolExecutor", "mean"),
        ),
    ),
)

_MAP = {"count": 1_000_000, "repeats": 5}
_MAP_SHORT = {"count": 20_000, "repeats": 1}

_map = Case(
    "map",
    "sum(map(noop, range(1_000_000))), without a chunk size",
    (
        Contestant(OURS, OURS, 2, "map_many", _MAP, _MAP_SHORT),
        Contestant("multiprocessing.Pool", "multiprocessing.Pool", 2, "map_many", _MAP, _MAP_SHORT),
        Contestant("built-in map", "Python", 1, "plain_map", _MAP, _MAP_SHORT),
    ),
    (
        Figure(
            "a million calls by map, beside multiprocessing.Pool with its own chunks",
            OURS,
            "rate",
            "tasks/s",
            ("multiprocessing.Pool", "rate"),
            at_least(1),
        ),
        Figure(
            "the same beside the built-in map", OURS, "rate", "tasks/s", ("built-in map", "rate")
        ),
    ),
)

_MANY = {"count": 40_000, "repeats": 3}
_MANY_SLOWLY = {"count": 40_000, "repeats": 1}
_FEW = {"count": 4000, "repeats": 1}
_MANY_SHORT = {"count": 500, "repeats": 1}

_submit_many = Case(
    "submit_many",
    "40,000 times submit, then every result",
    (
        Contestant(OURS, OURS, 2, "submit_many", _MANY, _MANY_SHORT),
        *(
            Contestant(peer, peer, 2, "submit_many", _MANY_SLOWLY, _MANY_SHORT)
            for peer in ("ProcessPoolExecutor", "multiprocessing.Pool", "mpi4py.futures", "loky")
        ),
        *(
            Contestant(f"{peer} (4,000 tasks)", peer, 2, "submit_many", _FEW, is_in_short=False)
            for peer in ("SCOOP 0.7", "Dask", "Ray")
        ),
    ),
    tuple(
        Figure(f"many submits, beside {name}", OURS, "rate", "tasks/s", (name, "rate"), goal)
        for name, goal in (
            ("ProcessPoolExecutor", at_least(10)),
            ("multiprocessing.Pool", at_least(5)),
            ("mpi4py.futures", at_least(30)),
        )
    ),
)

_SIZES = {
    "sizes": [1 << 10, 1 << 14, 1 << 17, _MIB, 1 << 22, 1 << 24, 1 << 26],
    "repeats": 9,
}
_SIZES_SHORT = {"sizes": [1 << 10, _MIB, 1 << 24], "repeats": 2}
_RAW, _RAW_NEW = "mpi4py Send", "mpi4py Send into new memory"

_bandwidth = Case(
    "bandwidth",
    "A numpy array of 64 MiB to another rank, and its receipt back",
    (
        Contestant(OURS, OURS, 2, "bandwidth", _SIZES, _SIZES_SHORT),
        Contestant(
            _RAW,
            "mpi4py",
            2,
            "send_arrays",
            _SIZES | {"into_new_memory": False},
            _SIZES_SHORT,
        ),
        Contestant(
            _RAW_NEW,
            "mpi4py",
            2,
            "send_arrays",
            _SIZES | {"into_new_memory": True},
            _SIZES_SHORT,
        ),
        *(
            Contestant(peer, peer, 2, "bandwidth", _SIZES | {"repeats": 3}, _SIZES_SHORT)
            for peer in ("ProcessPoolExecutor", "multiprocessing.Pool", "mpi4py.futures", "loky")
        ),
    ),
    (
        Figure(
            "bandwidth of an argument, beside raw Send into the same memory",
            OURS,
            "rate",
            "bytes/s",
            (_RAW, "rate"),
            at_least(0.8),
        ),
        Figure(
            "the same beside raw Send into new memory", OURS, "rate", "bytes/s", (_RAW_NEW, "rate")
        ),
    ),
)

_LENGTHS = [1e-7, 3e-7, 1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2]
_METG = {"lengths": _LENGTHS, "seconds": 0.3, "most": 1_000_000}
_METG_SHORT = {"lengths": [1e-6, 1e-5, 1e-4, 1e-3], "seconds": 0.05, "most": 20_000}

_metg = Case(
    "metg",
    "How short tasks may be: map of tasks of one length",
    (
        *(
            Contestant(peer, peer, 2, "granularity", _METG, _METG_SHORT)
            for peer in (
                OURS,
                "ProcessPoolExecutor",
                "multiprocessing.Pool",
                "mpi4py.futures",
                "loky",
            )
        ),
        *(
            Contestant(
                peer, peer, 2, "granularity", _METG | {"lengths": _LENGTHS[4:]}, is_in_short=False
            )
            for peer in ("SCOOP 0.7", "Dask", "Ray")
        ),
    ),
    (
        Figure("METG(50 %) of map", OURS, "metg", "s", None, at_most(3e-6)),
        Figure(
            "the same beside multiprocessing.Pool",
            OURS,
            "metg",
            "s",
            ("multiprocessing.Pool", "metg"),
        ),
    ),
)

_import = Case(
    "import",
    "Import of scoop_mpi.futures, where mpi4py and greenlet are there",
    (
        Contestant(
            OURS, "Python", 1, "import_seconds", {"repeats": 9}, {"repeats": 2}, in_each_mpi=True
        ),
    ),
    (
        Figure("import beyond mpi4py and greenlet", OURS, "seconds", "s", None, at_most(0.04)),
        Figure("imports of numpy by it", OURS, "loads_numpy", "times", None, at_most(0)),
    ),
)

_UNEVEN = {"count": 300, "shortest": 0.001, "longest": 0.04}
_UNEVEN_SHORT = {"count": 40, "shortest": 0.001, "longest": 0.01}
_UNEVEN_POOL = _UNEVEN | {"serial_count": 300}
_UNEVEN_PEERS = ("ProcessPoolExecutor", "multiprocessing.Pool", "mpi4py.futures")
_TWO = "two processes"

_uneven = Case(
    "uneven",
    "Tasks that compute for 1 to 40 ms, in a random order",
    (
        *(
            Contestant(peer, peer, 2, "uneven", _UNEVEN_POOL, _UNEVEN_SHORT)
            for peer in (OURS, *_UNEVEN_PEERS)
        ),
        Contestant(
            _TWO,
            "Python",
            2,
            "independent_processes",
            _UNEVEN | {"processes": 2},
            _UNEVEN_SHORT,
        ),
    ),
    (
        Figure(
            "efficiency of map, of the serial time of the same tasks",
            OURS,
            "map_efficiency",
            "share",
            None,
            at_least(0.97),
        ),
        Figure(
            "efficiency of submit, likewise",
            OURS,
            "submit_efficiency",
            "share",
            None,
            at_least(0.97),
        ),
        Figure(
            "efficiency of map, beside two independent processes",
            OURS,
            "map_efficiency",
            "share",
            (_TWO, "efficiency"),
        ),
        Figure(
            "efficiency of submit, beside two independent processes",
            OURS,
            "submit_efficiency",
            "share",
            (_TWO, "efficiency"),
        ),
        Figure(
            "efficiency of map, beside multiprocessing.Pool",
            OURS,
            "map_efficiency",
            "share",
            ("multiprocessing.Pool", "map_efficiency"),
        ),
    ),
)

_SLEEP = {"count": 300, "shortest": 0.001, "longest": 0.04, "each": 0.05, "repeats": 5}
_SLEEP_SHORT = {"count": 60, "repeats": 1}

_sleep = Case(
    "sleep",
    "The same lengths, slept; and one task of 50 ms for each rank",
    tuple(
        Contestant(peer, peer, 16, "sleeping", _SLEEP, _SLEEP_SHORT, is_in_short=peer == OURS)
        for peer in (OURS, "ProcessPoolExecutor", "multiprocessing.Pool", "mpi4py.futures")
    ),
    (
        Figure(
            "efficiency of map of sleeping tasks",
            OURS,
            "map_efficiency",
            "share",
            None,
            at_least(0.95),
        ),
        Figure(
            "efficiency of submit, likewise",
            OURS,
            "submit_efficiency",
            "share",
            None,
            at_least(0.95),
        ),
        Figure(
            "what each task to the first free rank, at no cost, would give",
            OURS,
            "greedy_efficiency",
            "share",
        ),
        Figure(
            "efficiency of one task of 50 ms for each rank",
            OURS,
            "one_each_efficiency",
            "share",
            None,
            at_least(0.85),
        ),
    ),
)


def _powers_of_two(most: int) -> list[int]:
    return [1 << exponent for exponent in range(most.bit_length())]


_SPEEDUP = {"count": 120, "shortest": 0.001, "longest": 0.02, "serial_count": 120}
_SPEEDUP_SLEEP = _SLEEP | {"count": 480, "repeats": 1}
_SPEEDUP_PEERS = (OURS, "ProcessPoolExecutor", "multiprocessing.Pool", "mpi4py.futures")
_CORES = len(os.sched_getaffinity(0))

_speedup = Case(
    "speedup",
    "Speed-up: computing tasks on as many ranks as there are cores, sleeping ones on up to 16",
    (
        *(
            Contestant(
                f"{peer}, {ranks} computing",
                peer,
                ranks,
                "uneven",
                _SPEEDUP,
                _UNEVEN_SHORT,
                is_in_short=peer == OURS,
            )
            for ranks in _powers_of_two(_CORES)
            for peer in _SPEEDUP_PEERS
        ),
        *(
            Contestant(
                f"{peer}, {ranks} sleeping",
                peer,
                ranks,
                "sleeping",
                _SPEEDUP_SLEEP,
                is_in_short=False,
            )
            for ranks in _powers_of_two(16)
            for peer in _SPEEDUP_PEERS
        ),
    ),
    (),
)

_idle = Case(
    "idle",
    "An idle worker's share of a core, the root asleep",
    (
        Contestant(
            OURS,
            OURS,
            16,
            "idle_share",
            {"settle": 2.0, "seconds": 20.0},
            {"settle": 0.5, "seconds": 2.0},
        ),
    ),
    (
        Figure(
            "share of a core, mean of the idle ranks", OURS, "mean", "share", None, at_most(0.005)
        ),
        Figure("the same, of the busiest of them", OURS, "worst", "share"),
    ),
)

_ranks128 = Case(
    "ranks128",
    "A whole small program, from start to end",
    (
        Contestant(
            OURS,
            "Python",
            128,
            "whole_jobs",
            {"ranks": 128, "tasks": 100_000, "repeats": 1, "limit": 250.0},
            {"ranks": 4},
            in_each_mpi=True,
            limit=600.0,
        ),
    ),
    (
        Figure(
            "a whole program, beside one that only imports mpi4py",
            OURS,
            "seconds",
            "s",
            (OURS, "empty_seconds"),
            at_most(1.5),
        ),
    ),
    is_long=True,
)

_memory = Case(
    "memory",
    "Peak memory of the root over sum(map(noop, range(10_000_000)))",
    (Contestant(OURS, OURS, 2, "peak_memory", {"count": 10_000_000}, {"count": 1_000_000}),),
    (Figure("memory for each item", OURS, "bytes_per_item", "bytes", None, at_most(150)),),
)

_STREAM = {"size": 10 * _MB, "count": 80, "repeats": 5}
_STREAM_SHORT = {"count": 20, "repeats": 1}

_stream = Case(
    "stream",
    "Results of 10 MB each, streaming back to the root",
    (
        Contestant(
            OURS, OURS, 5, "stream", _STREAM | {"probes": 50}, _STREAM_SHORT | {"probes": 3}
        ),
        Contestant("mpi4py", "mpi4py", 5, "stream_arrays", _STREAM, _STREAM_SHORT),
    ),
    (
        Figure(
            "bandwidth of results, beside raw Send", OURS, "rate", "bytes/s", ("mpi4py", "rate")
        ),
        Figure(
            "round trip of a constant through the root meanwhile, median, beside the same in quiet",
            OURS,
            "busy_p50",
            "s",
            (OURS, "quiet_p50"),
        ),
        Figure("the same, the slowest", OURS, "busy_worst", "s", (OURS, "quiet_worst")),
    ),
)

CASES: Mapping[str, Case] = {
    case.name: case
    for case in (
        _fib,
        _roundtrip,
        _submit,
        _map,
        _submit_many,
        _bandwidth,
        _metg,
        _uneven,
        _sleep,
        _speedup,
        _stream,
        _import,
        _memory,
        _idle,
        _ranks128,
    )
}
