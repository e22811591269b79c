"""Programs for jobs that tests start within their own process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scoop_mpi.program import Program


@dataclass(frozen=True)
class Calls(Program):
    """A program that is a function, for the root to call; workers have nothing to import."""

    function: Callable[[], Any] = lambda: None

    def run(self) -> None:
        self.function()

    def import_(self) -> None:
        pass


def calls(function: Callable[[], Any]) -> Program:
    """Return the program that calls `function`."""
    return Calls("code", "", function=function)
