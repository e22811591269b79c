"""How many threads a rank's numerical libraries get."""

from __future__ import annotations

import pytest

from scoop_mpi.job.numerical_threads import VARIABLES, settings, share


@pytest.mark.parametrize(
    ("cores", "ranks_per_core", "expected"),
    [
        (8, 1 / 8, 8),
        (8, 4 / 8, 2),
        (8, 3 / 8, 2),
        (8, 1.0, 1),
        (2, 2.0, 1),
        (1, 1 / 4, 1),  # bound to one core
        (49, 1 / 49, 49),
        (96, 1 / 96, 96),
    ],
)
def test_a_ranks_share(cores: int, ranks_per_core: float, expected: int) -> None:
    assert share(cores, ranks_per_core) == expected


def test_no_share_is_lost_to_rounding() -> None:
    for cores in range(1, 257):
        assert share(cores, 1 / cores) == cores


LEAST = ("OMP_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMBA_NUM_THREADS")


def test_each_library_gets_the_share() -> None:
    assert settings(None, 8, 0.5, {"HOME": "/"}) == dict.fromkeys(LEAST, "2")


def test_a_program_that_sets_openmps_variable_sets_it_for_those_who_go_by_it() -> None:
    """Before it loads them. They would prefer a variable of their own."""
    found = settings(None, 8, 0.5, {})
    for library in ("OPENBLAS", "MKL", "BLIS", "NUMEXPR"):
        assert f"{library}_NUM_THREADS" not in found


@pytest.mark.parametrize("name", VARIABLES)
def test_what_the_user_has_set_stays(name: str) -> None:
    found = settings(None, 8, 0.5, {name: "7"})
    assert name not in found
    assert set(LEAST) - {name} == set(found)


def test_what_the_user_has_set_for_openmp_is_for_all() -> None:
    assert settings(None, 8, 0.5, {"OMP_NUM_THREADS": "3"}) == dict.fromkeys(LEAST[1:], "3")


def test_a_list_is_for_openmp_alone() -> None:
    found = settings(None, 8, 0.5, {"OMP_NUM_THREADS": "3,2"})
    assert found == dict.fromkeys((*LEAST[1:], "NUMEXPR_NUM_THREADS"), "3")


def test_an_option_overrides_the_environment() -> None:
    assert settings(5, 8, 0.5, {"MKL_NUM_THREADS": "7"}) == dict.fromkeys(VARIABLES, "5")


def test_all_may_be_kept() -> None:
    assert settings("keep", 8, 0.5, {}) == {}
