"""What is measured: all cases, as data: who takes part, how much work, what is to be reached."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from benchmarks.case import Case, Contestant, Figure, Goal, Unit, at_least, at_most

OURS = "scoop_mpi"

_EXECUTOR, _POOL, _MPI_EXECUTOR = "ProcessPoolExecutor", "multiprocessing.Pool", "mpi4py.futures"
_POOLS = (_EXECUTOR, _POOL, _MPI_EXECUTOR, "loky")
_SLOW_POOLS = ("SCOOP 0.7", "Dask", "Ray")
_MIB = 1 << 20

Parameters = Mapping[str, Any]


def _pools(
    names: tuple[str, ...], measurement: str, parameters: Parameters, short: Parameters | None
) -> tuple[Contestant, ...]:
    """Return pools of two workers with the same work; `short` is None if short runs lack them."""
    return tuple(
        Contestant(
            name, name, 2, measurement, parameters, short or {}, is_in_short=short is not None
        )
        for name in names
    )


def _alone(what: str, metric: str, unit: Unit, goal: Goal | None = None) -> Figure:
    """Return a figure of scoop_mpi's that stands for itself."""
    return Figure(what, OURS, metric, unit, None, goal)


def _beside(
    other: str, what: str, metric: str, unit: Unit, goal: Goal | None = None, its: str = ""
) -> Figure:
    """Return a metric of scoop_mpi's, divided by the other's: the same one, or `its`."""
    return Figure(what, OURS, metric, unit, (other, its or metric), goal)


# ---------------------------------------------------------------- what a task costs

_FIB, _FIB_SHORT = {"n": 25, "repeats": 5}, {"n": 16, "repeats": 2}
_FIB_SCOOP = {"n": 18, "repeats": 1}

_fib = Case(
    "fib",
    "Nested tasks: two submit, two result, recursively",
    (
        Contestant("1 rank", OURS, 1, "nested", _FIB, _FIB_SHORT),
        Contestant("2 ranks", OURS, 2, "nested", _FIB, _FIB_SHORT),
        *_pools(("SCOOP 0.7",), "nested_scoop", _FIB_SCOOP, None),
    ),
    (
        *(
            Figure(
                "a nested task, in plain recursive calls",
                name,
                "task_seconds",
                "s",
                (name, "call_seconds"),
                at_most(10),
            )
            for name in ("1 rank", "2 ranks")
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

_ROUND_TRIPS, _ROUND_TRIPS_SHORT = {"count": 20_000}, {"count": 1000}
_MESSAGES = "its messages alone"

_roundtrip = Case(
    "roundtrip",
    "Round trip of one task to another rank: submit, then poll done()",
    (
        Contestant(OURS, OURS, 2, "poll_round_trip", _ROUND_TRIPS, _ROUND_TRIPS_SHORT),
        Contestant("mpi4py", "mpi4py", 2, "ping_pong", _ROUND_TRIPS, _ROUND_TRIPS_SHORT),
        Contestant(_MESSAGES, "mpi4py", 2, "bare_messages", _ROUND_TRIPS, _ROUND_TRIPS_SHORT),
    ),
    (
        _beside(
            "mpi4py",
            "round trip, median, beside mpi4py's pickled ping-pong",
            "p50",
            "s",
            at_most(4),
        ),
        _beside("mpi4py", "round trip, 99th percentile", "p99", "s"),
        Figure(
            "the two messages of a round trip, beside the ping-pong",
            _MESSAGES,
            "p50",
            "s",
            ("mpi4py", "p50"),
        ),
    ),
)

_LOOP_SHORT = {"count": 200}

_submit = Case(
    "submit",
    "submit(noop).result() in a loop",
    (
        Contestant(OURS, OURS, 2, "submit_result", {"count": 100_000}, _LOOP_SHORT),
        *_pools(_POOLS, "submit_result", {"count": 5000}, _LOOP_SHORT),
        *_pools(_SLOW_POOLS, "submit_result", {"count": 1000}, None),
    ),
    (
        _alone("submit and result, on average", "mean", "s", at_most(3e-6)),
        _beside(_EXECUTOR, "the same beside ProcessPoolExecutor", "mean", "s"),
    ),
)

_MAP, _MAP_SHORT = {"count": 1_000_000, "repeats": 5}, {"count": 20_000, "repeats": 1}

_map = Case(
    "map",
    "sum(map(noop, range(1_000_000))), without a chunk size",
    (
        *_pools((OURS, _POOL), "map_many", _MAP, _MAP_SHORT),
        Contestant("built-in map", "Python", 1, "plain_map", _MAP, _MAP_SHORT),
    ),
    (
        _beside(
            _POOL,
            "a million calls by map, beside multiprocessing.Pool with its own chunks",
            "rate",
            "tasks/s",
            at_least(1),
        ),
        _beside("built-in map", "the same beside the built-in map", "rate", "tasks/s"),
    ),
)

_MANY = {"count": 40_000, "repeats": 3}
_MANY_SHORT = {"count": 500, "repeats": 1}

_submit_many = Case(
    "submit_many",
    "40,000 times submit, then every result",
    (
        Contestant(OURS, OURS, 2, "submit_many", _MANY, _MANY_SHORT),
        *_pools(_POOLS, "submit_many", _MANY | {"repeats": 1}, _MANY_SHORT),
        *(
            Contestant(
                f"{peer} (4,000 tasks)",
                peer,
                2,
                "submit_many",
                {"count": 4000, "repeats": 1},
                is_in_short=False,
            )
            for peer in _SLOW_POOLS
        ),
    ),
    tuple(
        _beside(name, f"many submits, beside {name}", "rate", "tasks/s", goal)
        for name, goal in (
            (_EXECUTOR, at_least(10)),
            (_POOL, at_least(5)),
            (_MPI_EXECUTOR, at_least(30)),
        )
    ),
)

# ---------------------------------------------------------------- bytes

_SIZES = {
    "sizes": [1 << 10, 1 << 14, 1 << 17, _MIB, 4 * _MIB, 16 * _MIB, 64 * _MIB],
    "repeats": 9,
}
_SIZES_SHORT = {"sizes": [1 << 10, _MIB, 16 * _MIB], "repeats": 2}
_SAME, _NEW = "mpi4py Send", "mpi4py Send into new memory"

_bandwidth = Case(
    "bandwidth",
    "A numpy array of 64 MiB to another rank, and its receipt back",
    (
        Contestant(OURS, OURS, 2, "bandwidth", _SIZES, _SIZES_SHORT),
        *(
            Contestant(
                name,
                "mpi4py",
                2,
                "send_arrays",
                _SIZES | {"into_new_memory": name == _NEW},
                _SIZES_SHORT,
            )
            for name in (_SAME, _NEW)
        ),
        *_pools(_POOLS, "bandwidth", _SIZES | {"repeats": 3}, _SIZES_SHORT),
    ),
    (
        _beside(
            _SAME,
            "bandwidth of an argument, beside raw Send into the same memory",
            "rate",
            "bytes/s",
            at_least(0.8),
        ),
        _beside(_NEW, "the same beside raw Send into new memory", "rate", "bytes/s"),
    ),
)

_STREAM = {"size": 10_000_000, "count": 80, "repeats": 5}
_STREAM_SHORT = {"count": 20, "repeats": 1}
_PROBES, _PROBES_SHORT = {"probes": 50}, {"probes": 3}

_stream = Case(
    "stream",
    "Results of 10 MB each, streaming back to the root",
    (
        Contestant(OURS, OURS, 5, "stream", _STREAM | _PROBES, _STREAM_SHORT | _PROBES_SHORT),
        Contestant("mpi4py", "mpi4py", 5, "stream_arrays", _STREAM, _STREAM_SHORT),
    ),
    (
        _beside("mpi4py", "bandwidth of results, beside raw Send", "rate", "bytes/s"),
        _beside(
            OURS,
            "round trip of a constant through the root meanwhile, median, beside the same in quiet",
            "busy_p50",
            "s",
            its="quiet_p50",
        ),
        _beside(OURS, "the same, the slowest", "busy_worst", "s", its="quiet_worst"),
    ),
)

# ---------------------------------------------------------------- keeping cores busy

_LENGTHS = [1e-7, 3e-7, 1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2]
_METG = {"lengths": _LENGTHS, "seconds": 0.3, "most": 1_000_000}
_METG_SHORT = {"lengths": [1e-6, 1e-5, 1e-4, 1e-3], "seconds": 0.05, "most": 20_000}

_metg = Case(
    "metg",
    "How short tasks may be: map of tasks of one length",
    (
        *_pools((OURS, *_POOLS), "granularity", _METG, _METG_SHORT),
        *_pools(_SLOW_POOLS, "granularity", _METG | {"lengths": _LENGTHS[4:]}, None),
    ),
    (
        _alone("METG(50 %) of map", "metg", "s", at_most(3e-6)),
        _beside(_POOL, "the same beside multiprocessing.Pool", "metg", "s"),
    ),
)

_UNEVEN = {"count": 300, "shortest": 0.001, "longest": 0.04, "repeats": 3}
_UNEVEN_SHORT = {"count": 40, "longest": 0.01, "repeats": 1}
_TWO = "two processes"

_uneven = Case(
    "uneven",
    "Tasks that compute for 1 to 40 ms, in a random order",
    (
        *_pools(
            (OURS, _EXECUTOR, _POOL, _MPI_EXECUTOR),
            "uneven",
            _UNEVEN | {"serial_count": 100},
            _UNEVEN_SHORT,
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
    tuple(
        figure
        for name in ("map", "submit")
        for figure in (
            _alone(
                f"efficiency of {name}, by the serial time of the same tasks",
                f"{name}_efficiency",
                "share",
                at_least(0.97),
            ),
            _beside(
                _TWO,
                f"efficiency of {name}, beside that of two independent processes",
                f"{name}_efficiency",
                "share",
                its="efficiency",
            ),
            _beside(
                _POOL,
                f"share of the cores' time within tasks, {name}, beside multiprocessing.Pool",
                f"{name}_occupancy",
                "share",
            ),
            _beside(
                _POOL,
                f"steps a second in all tasks, {name}, beside multiprocessing.Pool",
                f"{name}_rate",
                "steps/s",
            ),
            _beside(
                _TWO,
                f"steps a second in all tasks, {name}, beside two independent processes",
                f"{name}_rate",
                "steps/s",
                its="rate",
            ),
        )
    ),
)

_SLEEP = _UNEVEN | {"each": 0.05, "repeats": 5}
_SLEEP_SHORT = {"count": 60, "repeats": 1}
_SLEEPERS = 16

_sleep = Case(
    "sleep",
    "The same lengths, slept; and one task of 50 ms for each rank",
    tuple(
        Contestant(
            peer, peer, _SLEEPERS, "sleeping", _SLEEP, _SLEEP_SHORT, is_in_short=peer == OURS
        )
        for peer in (OURS, _EXECUTOR, _POOL, _MPI_EXECUTOR)
    ),
    (
        _alone("efficiency of map of sleeping tasks", "map_efficiency", "share", at_least(0.95)),
        _alone("efficiency of submit, likewise", "submit_efficiency", "share", at_least(0.95)),
        _beside(
            OURS,
            "efficiency of map, beside each task going to the first free rank at no cost",
            "map_efficiency",
            "share",
            its="greedy_efficiency",
        ),
        _alone(
            "efficiency of one task of 50 ms for each rank",
            "one_each_efficiency",
            "share",
            at_least(0.85),
        ),
    ),
)


def _powers_of_two(most: int) -> list[int]:
    return [1 << exponent for exponent in range(most.bit_length())]


_CORES = len(os.sched_getaffinity(0))
_COMPUTING = _UNEVEN | {"count": 120, "longest": 0.02, "serial_count": 120}
_SLEEPING = _SLEEP | {"count": 480, "repeats": 1}

_speedup = Case(
    "speedup",
    "Speed-up: computing tasks on as many ranks as there are cores, sleeping ones on up to 16",
    tuple(
        Contestant(
            f"{peer}, {ranks} {kind}",
            peer,
            ranks,
            measurement,
            parameters,
            _UNEVEN_SHORT,
            is_in_short=peer == OURS and kind == "computing",
        )
        for kind, measurement, parameters, most in (
            ("computing", "uneven", _COMPUTING, _CORES),
            ("sleeping", "sleeping", _SLEEPING, _SLEEPERS),
        )
        for ranks in _powers_of_two(most)
        for peer in (OURS, _EXECUTOR, _POOL, _MPI_EXECUTOR)
    ),
    (),
)

# ---------------------------------------------------------------- what it takes to be there

_import = Case(
    "import",
    "Import of scoop_mpi.futures, where mpi4py and greenlet are there",
    (
        Contestant(
            OURS, "Python", 1, "import_seconds", {"repeats": 9}, {"repeats": 2}, in_each_mpi=True
        ),
    ),
    (
        _alone("import beyond mpi4py and greenlet", "seconds", "s", at_most(0.04)),
        _alone("imports of numpy by it", "loads_numpy", "times", at_most(0)),
    ),
)

_memory = Case(
    "memory",
    "Peak memory of the root over sum(map(noop, range(10_000_000)))",
    (Contestant(OURS, OURS, 2, "peak_memory", {"count": 10_000_000}, {"count": 1_000_000}),),
    (_alone("memory for each item", "bytes_per_item", "bytes", at_most(150)),),
)

_WATCHED, _WATCHED_SHORT = {"settle": 2.0, "seconds": 20.0}, {"settle": 0.5, "seconds": 2.0}

_idle = Case(
    "idle",
    "An idle worker's share of a core, the root asleep",
    (Contestant(OURS, OURS, 16, "idle_share", _WATCHED, _WATCHED_SHORT),),
    (
        _alone("share of a core, mean of the idle ranks", "mean", "share", at_most(0.005)),
        _alone("the same, of the busiest of them", "worst", "share"),
    ),
)

_WHOLE = {"ranks": 128, "tasks": 100_000, "repeats": 1, "limit": 250.0}

_ranks128 = Case(
    "ranks128",
    "A whole small program, from start to end",
    (
        Contestant(
            OURS,
            "Python",
            128,
            "whole_jobs",
            _WHOLE,
            {"ranks": 4},
            in_each_mpi=True,
            limit=600.0,
        ),
    ),
    (
        _beside(
            OURS,
            "a whole program, beside one that only imports mpi4py",
            "seconds",
            "s",
            at_most(1.5),
            its="empty_seconds",
        ),
    ),
    is_long=True,
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
