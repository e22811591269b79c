"""Programs written for SCOOP, unmodified: ``import scoop`` gives scoop_mpi.

The modules `scoop.futures` and `scoop.shared` are scoop_mpi's own, so that a function of theirs is
the same whatever it was imported by, and travels by the one name that it has. `scoop` itself is a
module that passes on each look-up to `scoop_mpi`, where `IS_ORIGIN` and its like are worked out
anew each time.
"""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import scoop_mpi

NAME = "scoop"
# SCOOP's modules whose names its manual tells, and ours in their place.
_MODULES = {
    "futures": "scoop_mpi.futures",
    "shared": "scoop_mpi.shared",
    "_types": "scoop_mpi.future",  # where its manual says that Future is
}


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
    """Have ``import scoop`` give scoop_mpi, from now on and in this process."""
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
