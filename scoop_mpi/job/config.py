"""What the command line asks of each rank; apart from `rank`, so that reading it is cheap."""

from __future__ import annotations

import logging
from typing import Literal, NamedTuple

from scoop_mpi.job.program import Program
from scoop_mpi.state.policy import RootsPart

# What Slurm leaves between SIGTERM and SIGKILL, unless its KillWait says otherwise.
GRACE = 30.0
NO_SIGNAL = "none"


class Config(NamedTuple):
    """What each rank is to do.

    Attributes:
        program: what to run.
        log_level: what the log lets through, as a level of `logging`.
        is_debug: whether ``--debug`` was given.
        threads: how many threads numerical libraries may use on each rank; None: this rank's share
            of its host's cores; "keep": whatever the libraries choose.
        profile_folder: where each rank writes its profile; None: nowhere.
        has_scoop_alias: whether ``import scoop`` gives scoop_mpi.
        is_interactive: whether a prompt follows the program.
        is_strict: whether calls get and return copies also where they stay on their rank.
        grace: seconds that the job may go on after SIGTERM.
        root: whether rank 0 runs tasks; see `policy.only_serves`.
        journal: the path of the journal; None: there is none.
        drain_signal: the name of the signal after which no further call is begun, without SIG;
            "none": no signal; None: "USR1" if there is a journal or a `stop_before`.
        stop_before: as many seconds before the end of the allocation this is to begin by itself;
            None: never.
        isolates: whether all calls of the root's program are isolated.
        has_mpi4py_alias: whether ``import mpi4py.futures`` gives scoop_mpi.
        without_effect: options of the command line that come too late here.
    """

    program: Program
    log_level: int = logging.WARNING
    is_debug: bool = False
    threads: int | Literal["keep"] | None = None
    profile_folder: str | None = None
    has_scoop_alias: bool = True
    is_interactive: bool = False
    is_strict: bool = False
    grace: float = GRACE
    root: RootsPart = "auto"
    has_mpi4py_alias: bool = False
    journal: str | None = None
    drain_signal: str | None = None
    stop_before: float | None = None
    isolates: bool = False
    without_effect: tuple[str, ...] = ()

    @property
    def is_to_be_resumed(self) -> bool:
        """Whether anything is to be done about each call that the program submits."""
        wants_to_drain = self.stop_before is not None or self.drain_signal not in (None, NO_SIGNAL)
        return self.journal is not None or self.isolates or wants_to_drain
