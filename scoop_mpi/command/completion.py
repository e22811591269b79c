"""How a command line may go on: what a shell is told when somebody presses Tab.

argcomplete asks the program itself, so it also completes ``python -m scoop_mpi``, and knows where
our options end and the program's begin. shtab, which writes a script for the shell once, could do
neither. Its price is a start of Python for each Tab; a rank pays nothing: nothing of this is
imported unless a shell asks.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import NoReturn

from scoop_mpi.command import command_line, options


def answer() -> NoReturn:
    """Tell the shell that has started us how the line may go on, and end this process."""
    try:
        import argcomplete
        from argcomplete.completers import ChoicesCompleter, DirectoriesCompleter, FilesCompleter
        from argcomplete.lexers import split_line
    except ImportError:
        raise SystemExit(1) from None  # another Python's argcomplete asks; the shell says nothing

    line, point = os.environ["COMP_LINE"], int(os.environ["COMP_POINT"])
    *_, words, _ = split_line(line, point)
    # argcomplete says as which word we stand there: `scoop_mpi` is the first, or after `python -m`.
    parser = _parser_after(words[int(os.environ["_ARGCOMPLETE"]) :])
    files, folders = FilesCompleter(), DirectoriesCompleter()
    by_name = {
        "arguments": files,
        "hostfile": files,
        "path": folders,
        "profile": folders,
        "program": files,
        "python": files,
        "pythonpath": folders,
        "threads": ChoicesCompleter({"keep": "keep"}),
    }
    for action in parser._actions:
        if action.dest in by_name:
            # argcomplete looks there; argparse knows of no such thing.
            setattr(action, "completer", by_name[action.dest])  # noqa: B010
    nothing = ChoicesCompleter({})
    argcomplete.autocomplete(parser, always_complete_options=False, default_completer=nothing)
    raise SystemExit(1)  # not reached: argcomplete ends the process


def _parser_after(words: Sequence[str]) -> argparse.ArgumentParser:
    """Return what understands the word that comes after these."""
    ours = options.make()
    if not command_line.names_program(words, ours):
        ours.parser.add_argument("program", nargs="?")
        return ours.parser
    program = argparse.ArgumentParser(add_help=False, prefix_chars="\0")  # has no options
    program.add_argument("arguments", nargs="*")
    return program
