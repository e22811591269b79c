"""Under `python -m scoop_mpi` the name `scoop` means scoop_mpi."""

from __future__ import annotations

import importlib
import pickle
import sys
from collections.abc import Iterator

import cloudpickle
import pytest

import scoop_mpi
from scoop_mpi import future, futures, scoop_alias, shared

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
    before = {name: module for name, module in sys.modules.items() if name.startswith("scoop.")}
    scoop_alias.install()
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "scoop"]:
        del sys.modules[name]
    sys.modules.update(before)


def test_its_modules_are_scoop_mpis() -> None:
    scoop = importlib.import_module("scoop")
    assert scoop.futures is futures
    assert scoop.shared is shared
    assert importlib.import_module("scoop.futures") is futures
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


def test_functions_and_the_module_itself_travel_by_reference() -> None:
    scoop = importlib.import_module("scoop")
    assert pickle.loads(pickle.dumps(scoop.futures.map)) is futures.map
    assert cloudpickle.loads(cloudpickle.dumps(scoop)) is scoop


def test_the_names_are_listed() -> None:
    assert {"futures", "shared", "worker", "SIZE"} <= set(dir(importlib.import_module("scoop")))
