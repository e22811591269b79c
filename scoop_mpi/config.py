"""What the command line asks for: of each rank, and of whoever starts the ranks.

Kept apart from `job` and `start`, so that reading it is cheap.
"""

from __future__ import annotations

import logging
from typing import Literal, NamedTuple

from scoop_mpi.program import Program

LINE = "--line"  # the option that has the rest of the command line in one word
CANT_FOLLOW = 2  # the exit status of a command line that can't be followed


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
        without_effect: options of the command line that come too late here.
    """

    program: Program
    log_level: int = logging.WARNING
    is_debug: bool = False
    threads: int | Literal["keep"] | None = None
    profile_folder: str | None = None
    has_scoop_alias: bool = True
    is_interactive: bool = False
    without_effect: tuple[str, ...] = ()


class Start(NamedTuple):
    """How the command line wants the ranks started.

    Attributes:
        ranks: how many; None: as many as there is room for.
        host_names: the hosts, each as often as it is to get a rank.
        host_file: a file of hosts.
        python: the interpreter to run the ranks with; None: this one.
        mpiexec_options: further options for mpiexec.
        is_dry_run: whether to print the command instead.
    """

    ranks: int | None = None
    host_names: tuple[str, ...] = ()
    host_file: str | None = None
    python: str | None = None
    mpiexec_options: tuple[str, ...] = ()
    is_dry_run: bool = False
