"""Programs written for SCOOP, unmodified: ``import scoop`` gives scoop_mpi.

The modules `scoop.futures` and `scoop.shared` are modules of scoop_mpi, so that a function of
theirs travels by the one name that it has. `scoop` itself is a module that passes on each look-up
to `scoop_mpi`, where `IS_ORIGIN` and its like are worked out anew each time.

All of them exist in `sys.modules` alone. Processes that a rank starts find `scoop` in a folder that
is on its path for them, `for_children`.
"""

from __future__ import annotations

import importlib
import os
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import scoop_mpi

NAME = "scoop"
# SCOOP's modules whose names its manual tells, and ours in their place.
_MODULES = {
    "futures": "scoop_mpi.job.scoop_futures",
    "shared": "scoop_mpi.shared",
    "_types": "scoop_mpi.tasks.future",  # where its manual says that Future is
}
_FOR_CHILDREN = os.path.join(os.path.dirname(__file__), "for_children")


def _look_up(name: str) -> Any:
    if name in scoop_mpi.__all__:
        return getattr(scoop_mpi, name)
    raise AttributeError(
        f"module {NAME!r} has no attribute {name!r}: it is scoop_mpi here, which has what SCOOP's "
        "manual tells of. --no-scoop-alias leaves `import scoop` to an installed SCOOP"
    )


def _names() -> list[str]:
    return sorted({*scoop_mpi.__all__, *_MODULES})


def install() -> None:
    """Have ``import scoop`` give scoop_mpi, from now on and in processes that this one starts."""
    alias = ModuleType(NAME, "SCOOP's names, as scoop_mpi has them.")
    # Functions of the module's own (PEP 562), not a subclass: cloudpickle sends a module by its
    # name only if it is of the very type ModuleType.
    alias.__dict__.update(__getattr__=_look_up, __dir__=_names)
    alias.__spec__ = ModuleSpec(NAME, loader=None, is_package=True)
    # A package without a folder: what is not in `sys.modules` is not found.
    alias.__path__ = []
    sys.modules[NAME] = alias
    for name, ours in _MODULES.items():
        module = importlib.import_module(ours)
        sys.modules[f"{NAME}.{name}"] = module
        setattr(alias, name, module)
    if _FOR_CHILDREN not in sys.path:
        sys.path.insert(1, _FOR_CHILDREN)  # the first entry is the program's own
