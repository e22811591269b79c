"""The cases are data that name things elsewhere: they exist, and take these arguments."""

from __future__ import annotations

import inspect

import pytest

from benchmarks import measurements, raw
from benchmarks.case import Case, Contestant
from benchmarks.cases import CASES
from benchmarks.peers import PEERS

CONTESTANTS = [
    pytest.param(contestant, id=f"{case.name}-{contestant.name}")
    for case in CASES.values()
    for contestant in case.contestants
]


@pytest.mark.parametrize("contestant", CONTESTANTS)
@pytest.mark.parametrize("is_short", [False, True])
def test_a_measurement_takes_its_arguments(contestant: Contestant, is_short: bool) -> None:
    peer = PEERS[contestant.peer]
    subject: list[object] = [None]
    if peer.open is not None:
        function = measurements.OF_POOLS[contestant.measurement]
    elif peer.launch == "mpiexec":
        function = raw.OF_MPI[contestant.measurement]
    else:
        function = raw.OF_PYTHON[contestant.measurement]
        subject = []
    inspect.signature(function).bind(*subject, **contestant.arguments(is_short))


@pytest.mark.parametrize("case", CASES.values(), ids=lambda case: case.name)
def test_figures_are_of_contestants_of_the_case(case: Case) -> None:
    names = [contestant.name for contestant in case.contestants]
    assert len(names) == len(set(names))
    for figure in case.figures:
        assert figure.contestant in names
        assert figure.beside is None or figure.beside[0] in names
