"""Under `python -m scoop_mpi` the name `scoop` means scoop_mpi."""

from __future__ import annotations

import importlib
import inspect
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import cloudpickle
import pytest

import scoop_mpi
from scoop_mpi import futures, shared
from scoop_mpi.job import scoop_alias, scoop_futures
from scoop_mpi.tasks import future
from tests.sim.simulation import Simulation

# What SCOOP 0.7's manual names, by module.
DOCUMENTED = {
    "scoop": "BROKER DEBUG IS_ORIGIN IS_RUNNING MAIN_MODULE SIZE futures logger shared worker",
    "scoop.futures": "ALL_COMPLETED FIRST_COMPLETED FIRST_EXCEPTION as_completed map mapReduce "
    "mapScan map_as_completed shutdown submit wait",
    "scoop.shared": "SharedElementEncapsulation getConst setConst",
    "scoop._types": "Future",
}
FUTURE = "add_done_callback cancel cancelled done exception result running"


@pytest.fixture(autouse=True)
def alias() -> Iterator[None]:
    """The alias is installed, and taken away afterwards."""
    path = list(sys.path)
    before = {name: module for name, module in sys.modules.items() if name.startswith("scoop.")}
    scoop_alias.install()
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "scoop"]:
        del sys.modules[name]
    sys.modules.update(before)
    sys.path[:] = path


def test_its_modules_are_scoop_mpis() -> None:
    scoop = importlib.import_module("scoop")
    assert scoop.futures is scoop_futures
    assert scoop.shared is shared
    assert importlib.import_module("scoop.futures") is scoop_futures
    assert importlib.import_module("scoop.shared") is shared
    assert scoop.logger is scoop_mpi.logger
    assert importlib.import_module("scoop._types").Future is future.Future


@pytest.mark.parametrize(
    ("module", "name"),
    [(module, name) for module, names in DOCUMENTED.items() for name in names.split()],
)
def test_each_name_of_the_manual_is_there(module: str, name: str) -> None:
    assert hasattr(importlib.import_module(module), name)


@pytest.mark.parametrize("name", FUTURE.split())
def test_each_method_of_a_future_is_there(name: str) -> None:
    assert callable(getattr(importlib.import_module("scoop._types").Future, name))


def test_what_is_not_there_is_named_with_the_way_out() -> None:
    scoop = importlib.import_module("scoop")
    with pytest.raises(AttributeError, match=r"'discovery'.*--no-scoop-alias"):
        scoop.discovery  # noqa: B018
    with pytest.raises(ModuleNotFoundError, match=r"scoop\.hub"):
        importlib.import_module("scoop.hub")
    assert not hasattr(scoop, "__file__")


MAPS = ("map", "map_as_completed", "mapReduce", "mapScan")


def test_its_futures_are_scoop_mpis_but_for_the_maps() -> None:
    assert scoop_futures.__all__ == futures.__all__
    others = [name for name in futures.__all__ if name not in MAPS]
    assert all(getattr(scoop_futures, name) is getattr(futures, name) for name in others)


def parameters_of(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return the parameters, without their types."""
    parameters = inspect.signature(function).parameters.values()
    return [parameter.replace(annotation=inspect.Parameter.empty) for parameter in parameters]


@pytest.mark.parametrize("name", MAPS)
def test_a_map_takes_the_same_arguments_and_any_keyword_besides(name: str) -> None:
    *ours, last = parameters_of(getattr(scoop_futures, name))
    assert ours == parameters_of(getattr(futures, name))
    assert last.kind is last.VAR_KEYWORD


@pytest.mark.parametrize("name", MAPS)
def test_a_keyword_that_scoop_ignored_is_ignored_with_a_warning(name: str) -> None:
    needed = {"mapReduce": (abs, max), "mapScan": (abs, max)}.get(name, (abs,))

    def program() -> Any:
        found = getattr(scoop_futures, name)(*needed, [-1, -2], depth=3, more=None)
        return found if name == "mapReduce" else sorted(found)

    with pytest.warns(RuntimeWarning) as caught:
        assert Simulation(1, seed=0).run(program) == (2 if name == "mapReduce" else [1, 2])
    (warning,) = caught
    assert f"scoop.futures.{name}() ignores" in str(warning.message)
    assert "the keyword arguments depth, more" in str(warning.message)
    assert warning.filename == __file__
    with pytest.raises(TypeError, match="depth"):
        getattr(futures, name)(*needed, [-1], depth=3)


@pytest.mark.parametrize("module", [futures, scoop_futures])
def test_a_warning_names_the_line_of_the_program(module: ModuleType) -> None:
    with pytest.warns(RuntimeWarning, match="runs serially") as caught:
        assert list(module.map(abs, [-1])) == [1]
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize("name", futures.__all__)
def test_whatever_it_has_travels_by_reference(name: str) -> None:
    thing = getattr(importlib.import_module("scoop").futures, name)
    for pickler in (pickle, cloudpickle):
        received = pickler.loads(pickler.dumps(thing))
        assert received is thing or (isinstance(thing, str) and received == thing)


def test_the_module_itself_travels_by_reference() -> None:
    scoop = importlib.import_module("scoop")
    assert cloudpickle.loads(cloudpickle.dumps(scoop)) is scoop
    assert cloudpickle.loads(cloudpickle.dumps(scoop.futures)) is scoop.futures


def test_processes_that_are_started_with_this_path_find_it() -> None:
    question = (
        f"import sys; sys.path = {sys.path!r}; from scoop import futures, shared; import scoop; "
        "print(scoop.IS_RUNNING, futures.submit.__module__)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", question], capture_output=True, text=True, check=True, timeout=60
    )
    assert answer.stdout == "False scoop_mpi.futures\n"


def test_the_names_are_listed() -> None:
    assert {"futures", "shared", "worker", "SIZE"} <= set(dir(importlib.import_module("scoop")))
