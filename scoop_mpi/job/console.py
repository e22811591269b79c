"""A prompt on the root, after the program or without one, for ``-i``.

What is typed there exists on the root alone: the workers have imported the program as it stands in
its file. So functions and classes that are typed travel by value, also where they take the name of
one of the program's (see `meanings`).
"""

from __future__ import annotations

import code
import importlib.util
import sys
from types import ModuleType

from scoop_mpi._version import __version__
from scoop_mpi.job import uncaught
from scoop_mpi.job.program import ROOT_NAME, Program, ProgramError


class WithPrompt(Program):
    """A program that is followed by a prompt, however it ends."""

    def run(self) -> None:
        """Run the program, then the prompt; return, or raise SystemExit, when that is left.

        Raises:
            ProgramError: there is nothing to run.
            SystemExit: the user has left the prompt by ``exit()``.
        """
        raised: BaseException | None = None
        try:
            super().run()
        except ProgramError:
            raise
        except BaseException as error:
            raised = error
        if raised is not None:
            uncaught.show(raised)  # as `python -i` does, for sys.exit too
        _interact(sys.modules[ROOT_NAME])


def with_prompt(program: Program) -> Program:
    """Return `program`, followed by a prompt."""
    return WithPrompt(*program)


def _interact(module: ModuleType) -> None:
    import scoop_mpi

    banner = f"scoop_mpi {__version__}, number of ranks: {scoop_mpi.SIZE}"
    if importlib.util.find_spec("IPython") is None:
        _edit_lines(module)
        words = sys.version.partition("\n")[0]
        code.interact(f"{banner}. Python {words}", local=module.__dict__, exitmsg="")
        return
    from IPython.terminal.interactiveshell import TerminalInteractiveShell

    shell = TerminalInteractiveShell.instance(
        user_module=module, user_ns=module.__dict__, banner2=f"{banner}\n"
    )
    shell.show_banner()
    shell.mainloop()


def _edit_lines(module: ModuleType) -> None:
    """Have the prompt edit and complete lines, where there is a terminal and GNU's readline."""
    if not sys.stdin.isatty() or importlib.util.find_spec("readline") is None:
        return
    import readline
    import rlcompleter

    readline.set_completer(rlcompleter.Completer(module.__dict__).complete)
    readline.parse_and_bind("tab: complete")
