"""``python -m scoop_mpi``: who is to carry out the command line.

    a launcher has started us           this process is a rank: `rank`
    one rank is asked for               the same
    several are, and nobody started us  this process starts mpiexec, and waits: `start`, `parent`
    a kernel is to be installed         this process, and no rank: `kernel`

Nothing here imports MPI before that is settled, nor what a rank needs besides.
"""

from __future__ import annotations

import io
import logging
import os
import shlex
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING

from scoop_mpi.command.command_line import CommandLine, parse
from scoop_mpi.errors import StartError
from scoop_mpi.job import standard_streams
from scoop_mpi.launch import launchers, line_to_parent, nesting, standard_input
from scoop_mpi.launch.mpi_library import cant_load
from scoop_mpi.launch.request import CANT_FOLLOW, Start
from scoop_mpi.system import cores, streams
from scoop_mpi.system.interpreter import Invocation

if TYPE_CHECKING:
    from scoop_mpi.command.kernel import Kernel


def main() -> int:
    """Do what the command line asks for; return the exit status."""
    standard_streams.occupy_closed()
    is_nested = nesting.leave_outer_job(os.environ)
    line = _understood(sys.argv[1:])
    try:
        if line.kernel is not None:
            return _install(line.kernel)
        if line.niceness is not None:
            _set_niceness(line.niceness)
        if launchers.launcher(os.environ) is None:
            _start_ranks(line, is_nested)
        elif line.start.is_dry_run:
            raise StartError("--dry-run: the ranks have been started already; leave mpiexec out")
        return _be_a_rank(line)
    except StartError as error:
        speaks = launchers.is_first_on_host if error.on_this_host else launchers.is_first
        if not speaks(os.environ):
            return 0  # a failure could have the launcher end the job before it has been explained
        _say(str(error))
        return CANT_FOLLOW


def _say(text: str | None) -> None:
    if text is not None:
        streams.write_error(f"scoop_mpi: {text}\n")


def _understood(arguments: Sequence[str]) -> CommandLine:
    """Return what the command line asks for. If it can't be understood, the first rank says so."""
    if launchers.is_first(os.environ):
        return parse(arguments)
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            return parse(arguments)
    except SystemExit as ending:
        raise SystemExit(0) from ending


def _install(wanted: Kernel) -> int:
    """Install a kernel for Jupyter; return the exit status.

    Raises:
        StartError: it can't be installed.
    """
    if launchers.launcher(os.environ) is not None:
        raise StartError("--install-kernel writes a file, and takes one process; leave mpiexec out")
    from scoop_mpi.command import kernel

    print(kernel.install(wanted, _words_before_ours()))
    return 0


def _start_ranks(line: CommandLine, is_nested: bool) -> None:
    """Start the ranks, and end with the job; or return, if this process is all the ranks there are.

    Raises:
        StartError: they can't be started.
        SystemExit: the job has ended; or its command was printed, as ``--dry-run`` asks.
    """
    from scoop_mpi.launch import hosts, parent, start

    asked = line.start
    plan = start.plan(asked, os.environ, len(cores.usable()))
    if line.is_info and asked == Start():
        return  # about this process: a page that comes also where starting several fails
    is_chosen = asked.ranks or asked.host_names or asked.host_file
    if plan.ranks == 1 and not is_chosen and line.config.log_level <= logging.WARNING:
        _say(hosts.unused_cores(os.environ))
    if not (plan.needs_mpiexec or asked.python or asked.is_dry_run or asked.restarts):
        return
    command = start.command(asked, plan, _words_before_ours(), line.rank_words, os.environ)
    variables = start.variables(os.environ, is_nested)
    _say(start.allow_open_files(max((host.ranks for host in plan.hosts), default=plan.ranks)))
    if asked.is_dry_run:
        settings = [f"{name}={value}" for name, value in variables.items()]
        print(shlex.join([*settings, *command]))
        raise SystemExit(0)
    if not (plan.needs_mpiexec or asked.restarts):
        start.become(command, variables)
    is_here = not plan.hosts and not standard_input.may_be_elsewhere(
        asked.mpiexec_options, os.environ
    )
    standard_input.leave_terminal()
    kept = standard_input.keep() if is_here else {}
    if line.config.program.is_standard_input and not kept:
        standard_streams.hand_on_program()
    raise SystemExit(
        parent.run(
            command, variables | kept, line.config.grace, asked.restarts, line.config.journal
        )
    )


def _words_before_ours() -> list[str]:
    """Return what stands between Python and the command line: its options, and -m scoop_mpi."""
    python = Invocation(sys.orig_argv[1:])
    program = python.program(len(sys.argv) - 1)
    if len(program) == 1 and not program[0].startswith("-"):
        program = ["-m", "scoop_mpi"]  # the script `scoop_mpi`, which may be on this host alone
    return [*python.options, *program]


def _be_a_rank(line: CommandLine) -> int:
    config = line.config._replace(without_effect=_late_options(line))
    if config.profile_folder is not None:
        from scoop_mpi.observe import profiling

        profiling.make_folder(config.profile_folder)
    nesting.mark(os.environ)
    to_parent = line_to_parent.take(os.environ)
    try:
        standard_input.take(os.environ)
    except OSError as error:
        _say(f"the program's standard input is empty, as it can't be opened: {error}")
    try:
        from scoop_mpi.job.rank import run
        from scoop_mpi.transport import mpi  # noqa: F401 - the import starts MPI
    except (ImportError, RuntimeError) as error:
        text = cant_load(sys.executable, str(error))
        raise StartError(f"{os.uname().nodename}: {text}", on_this_host=True) from error
    if line.is_info:
        from scoop_mpi.command import info

        return info.run(config)
    return run(config, to_parent)


def _late_options(line: CommandLine) -> tuple[str, ...]:
    """Return the options that say how to start the ranks, which a launcher has started already."""
    launcher = launchers.launcher(os.environ)
    if launcher is None or not line.start_options:
        return ()
    is_right = line.start.ranks == launcher.processes(os.environ)
    from scoop_mpi.command.options import RANKS

    return tuple(option for option in line.start_options if option not in RANKS or not is_right)


def _set_niceness(niceness: int) -> None:
    try:
        os.setpriority(os.PRIO_PROCESS, 0, niceness)
    except PermissionError as error:
        now = os.getpriority(os.PRIO_PROCESS, 0)
        raise StartError(
            f"--nice {niceness}: only root may go below the present niceness, which is {now}",
            on_this_host=True,
        ) from error
