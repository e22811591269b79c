"""What the command line asks of whoever starts the ranks. Apart from `start`: it loads fast."""

from __future__ import annotations

from typing import NamedTuple

LINE = "--line"  # the option that has the rest of the command line in one word
CANT_FOLLOW = 2  # the exit status of a command line that can't be followed


class Start(NamedTuple):
    """How the command line wants the ranks started.

    Attributes:
        ranks: how many; None: as many as there is room for.
        host_names: the hosts, each as often as it is to get a rank.
        host_file: a file of hosts.
        python: the interpreter to run the ranks with; None: this one.
        mpiexec_options: further options for mpiexec.
        restarts: how often to start the job again, if a rank, or the launcher, dies.
        is_dry_run: whether to print the command instead.
    """

    ranks: int | None = None
    host_names: tuple[str, ...] = ()
    host_file: str | None = None
    python: str | None = None
    mpiexec_options: tuple[str, ...] = ()
    is_dry_run: bool = False
    restarts: int = 0
