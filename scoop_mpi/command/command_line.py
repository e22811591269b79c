"""What a command line says: from words to a `CommandLine`."""

from __future__ import annotations

import itertools
import logging
import operator
from collections.abc import Container, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from scoop_mpi.job.config import NO_SIGNAL, Config
from scoop_mpi.job.program import Program
from scoop_mpi.launch.request import LINE, Start

if TYPE_CHECKING:
    import argparse

    from scoop_mpi.command.kernel import Kernel
    from scoop_mpi.command.options import Options


class CommandLine(NamedTuple):
    """What a command line asks for.

    Attributes:
        config: what each rank is to do.
        start: how the ranks are to be started.
        niceness: the ranks' niceness; None: as it is.
        is_info: whether only to tell about the MPI and the ranks.
        rank_words: the part of the command line that is for the ranks.
        start_options: the names of the options that say how to start them.
        kernel: what to install for Jupyter, instead of all that; None: nothing.
    """

    config: Config
    start: Start = Start()
    niceness: int | None = None
    is_info: bool = False
    rank_words: tuple[str, ...] = ()
    start_options: tuple[str, ...] = ()
    kernel: Kernel | None = None


def parse(arguments: Sequence[str]) -> CommandLine:
    """Return what the command line asks for. Exits, as argparse does, if it can't be understood."""
    if arguments and _begins_program(arguments[0]):
        program = _program(tuple(arguments))
        if program is not None:  # and no option of ours: most ranks get by without argparse
            return CommandLine(Config(program), rank_words=tuple(arguments))
    from scoop_mpi.command import options

    ours = options.make()
    try:
        words = _split(arguments, ours)
    except ValueError as error:
        ours.parser.error(f"argument {LINE}: {error}")
    found = ours.parser.parse_args([word for option in words.options for word in option])
    program = words.program
    kernel = _kernel(found, words, ours)
    if program is None:
        if not (found.interactive or found.info or kernel):
            ours.parser.error(
                "there is no program to run: name a script, or give -m module or -c code"
            )
        program = Program("code", "from scoop_mpi import futures, shared")
    if found.stop_before is not None and found.drain_signal == NO_SIGNAL:
        ours.parser.error(f"--stop-before needs a signal: leave out --drain-signal {NO_SIGNAL}")
    program = program._replace(folder=found.path, search_path=tuple(found.pythonpath))
    config = Config(
        program,
        logging.DEBUG if found.debug else _log_level(found.verbose, found.quiet),
        found.debug,
        found.threads,
        found.profile,
        found.scoop_alias,
        found.interactive,
        found.strict,
        found.grace,
        found.root,
        found.mpi4py_alias,
        found.journal,
        found.drain_signal,
        found.stop_before,
        found.isolate,
    )
    asked = Start(
        found.n,
        tuple(found.hosts),
        found.hostfile,
        found.python,
        tuple(found.mpiexec_args),
        found.dry_run,
        found.restarts,
    )
    named = [(_name_of(option), option) for option in words.options]
    return CommandLine(
        config,
        asked,
        found.nice,
        found.info,
        (
            *(word for name, option in named if name not in ours.starting for word in option),
            *words.rest,
        ),
        tuple(dict.fromkeys(name for name, _ in named if name in ours.starting)),
        kernel,
    )


def _kernel(found: argparse.Namespace, words: _Words, ours: Options) -> Kernel | None:
    """Return the kernel that is to be installed. Exits, as argparse does, if it can't be that."""
    from scoop_mpi.command.options import KERNEL

    place, name = KERNEL
    if found.install_kernel is None:
        if found.name is not None:
            ours.parser.error(f"{name} is for a kernel: give {place} too")
        return None
    if words.rest:
        ours.parser.error(
            f"{place} runs no program: leave out {words.rest[0]} and what follows. Where to "
            f"install is said by {place}=user or {place}=sys-prefix"
        )
    from scoop_mpi.command.kernel import NAME, Kernel

    others = (("-i", found.interactive), ("--info", found.info), ("--dry-run", found.dry_run))
    for option, is_given in others:
        if is_given:
            ours.parser.error(f"{place} can't go with {option}")
    its_own = (option for option in words.options if _name_of(option) not in KERNEL)
    return Kernel(
        found.name or NAME,
        found.install_kernel == "sys-prefix",
        found.n,
        tuple(itertools.chain.from_iterable(its_own)),
    )


def names_program(arguments: Sequence[str], ours: Options) -> bool:
    """Say whether the program begins among these words: what follows them is then for it."""
    try:
        return bool(_split(arguments, ours).rest)
    except ValueError:
        return False


class _Words(NamedTuple):
    """A command line, taken apart.

    Attributes:
        options: our own options, each with its value.
        program: what to run; None: nothing was named.
        rest: the words that name the program, and its arguments.
    """

    options: tuple[tuple[str, ...], ...]
    program: Program | None = None
    rest: tuple[str, ...] = ()


def _split(arguments: Sequence[str], ours: Options) -> _Words:
    """Split the command line into options of ours, and the program with arguments of its own.

    As Python does, and argparse can't: the first word that is no option begins the program.
    """
    options: list[tuple[str, ...]] = []
    place = 0
    while place < len(arguments):
        word = arguments[place]
        if word == LINE and place + 1 < len(arguments):
            word = f"{LINE}={arguments[place + 1]}"
            arguments = [word, *arguments[place + 2 :]]
            place = 0
        if word.startswith(f"{LINE}="):
            arguments = _unquoted(arguments[place:])
            place = 0
            continue
        rest = tuple(arguments[place:])
        if _begins_program(word):
            return _Words(tuple(options), _program(rest), rest)
        place += 1
        if word in ours.listing:
            hosts = tuple(itertools.takewhile(_may_be_host, arguments[place:]))
            # Without any, argparse will complain.
            options += [(f"{word}={host}",) for host in hosts] or [(word,)]
            place += len(hosts)
        elif _wants_value(word, ours.valued) and place < len(arguments):
            value = arguments[place]
            # Joined where it can be, else argparse takes a value with a dash for an option.
            options.append((f"{word}={value}",) if word.startswith("--") else (word, value))
            place += 1
        else:
            options.append((word,))
    return _Words(tuple(options))


def _unquoted(arguments: Sequence[str]) -> list[str]:
    """Return a command line whose first words are quoted, each as one word, as what they stand for.

    Raises:
        ValueError: quotes don't match.
    """
    import shlex

    is_quoted = operator.methodcaller("startswith", f"{LINE}=")
    quoted = list(itertools.takewhile(is_quoted, arguments))
    words = (shlex.split(word.partition("=")[2]) for word in quoted)
    return [*itertools.chain.from_iterable(words), *arguments[len(quoted) :]]


def _begins_program(word: str) -> bool:
    return word[:2] in ("-m", "-c") or word in ("-", "--") or not word.startswith("-")


def _program(words: tuple[str, ...]) -> Program | None:
    first, *rest = words
    if first[:2] in ("-m", "-c"):
        kind: Literal["module", "code"] = "module" if first[1] == "m" else "code"
        rest = [first[2:], *rest] if first[2:] else rest
        return Program(kind, rest[0], tuple(rest[1:])) if rest else None
    if first != "--":
        rest = [first, *rest]
    return Program("script", rest[0], tuple(rest[1:])) if rest else None


def _name_of(option: tuple[str, ...]) -> str:
    word = option[0]
    name = word.partition("=")[0]
    return name if word.startswith("--") or name == "-np" else word[:2]


def _wants_value(word: str, valued: Container[str]) -> bool:
    """Say whether the next word is this option's value. In -vn 4, say, it is."""
    if word.startswith("--") or word in valued:
        return word in valued
    for place, letter in enumerate(word[1:], start=2):
        if f"-{letter}" in valued:
            return place == len(word)
    return False


def _may_be_host(word: str) -> bool:
    """Say whether a word after ``--host`` is one more host, and not the program."""
    return not word.startswith("-") and "/" not in word and not word.endswith(".py")


def _log_level(verbose: int, quiet: bool) -> int:
    if quiet:
        return logging.ERROR
    return (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
