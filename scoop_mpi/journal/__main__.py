"""``python -m scoop_mpi.journal FILE``: says what is in a journal, checks and compacts it."""

from __future__ import annotations

import argparse
import os
import sys

from scoop_mpi.journal.lock import Lock
from scoop_mpi.journal.records import (
    Contents,
    JournalError,
    Place,
    Salvage,
    Writer,
    describe,
    read,
)

_DESCRIPTION = """\
Say what is in a journal: of each function how many results, and how large they are.
What is called up is the file that --journal FILE of `python -m scoop_mpi` names."""


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line asks for; return the exit status.

    Args:
        arguments: the command line; None: that of this process.
    """
    parser = argparse.ArgumentParser(
        prog="python -m scoop_mpi.journal",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("file", metavar="FILE", help="the journal")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--check", action="store_true", help="read every result, and say whether all are whole"
    )
    what.add_argument(
        "--compact",
        metavar="NEW",
        help="write a new journal with what can be read: each result once, and of a function that "
        "has changed those of its last version",
    )
    what.add_argument(
        "--program", metavar="NAME", help="say that the journal is of the program of this name"
    )
    found = parser.parse_args(arguments)
    try:
        if found.compact is not None:
            return _compact(found.file, found.compact)
        if found.program is not None:
            return _rename(found.file, found.program)
        return _check(found.file) if found.check else _list(found.file)
    except JournalError as error:
        _say(str(error))
    except OSError as error:
        _say(f"{error.filename or found.file}: {error.strerror}")
    return 1


def _list(path: str) -> int:
    with open(path, "rb") as file:
        about = describe(Contents(file, path))
    print(f"program: {about['program']}")
    for function in about["functions"]:
        print(
            f"{function['name']} ({function['digest'][:8]}): {function['results']:,} results, "
            f"{function['bytes']:,} bytes"
        )
    return 0


def _check(path: str) -> int:
    with open(path, "rb") as file:
        contents = Salvage(file, path)
        damaged = whole = 0
        for results in contents.results:
            for _, place in results.places:
                if read(file, place) is None:
                    damaged += 1
                else:
                    whole += 1
    print(f"{whole:,} results are whole, {damaged:,} are damaged")
    if contents.skipped:
        print(f"{contents.skipped:,} bytes belong to no whole record")
    return 1 if damaged or contents.skipped else 0


def _compact(path: str, new: str) -> int:
    with open(path, "rb") as file:
        contents = Salvage(file, path)
        latest = {function.name: number for number, function in enumerate(contents.functions)}
        places: dict[int, dict[bytes, Place]] = {number: {} for number in latest.values()}
        for results in contents.results:
            if results.function in places:
                places[results.function].update(results.places)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        kept = left = 0
        try:
            writer = Writer(descriptor, 0)
            if contents.program is not None:
                writer.program(contents.program)
            for number, (old, calls) in enumerate(places.items()):
                writer.function(contents.functions[old])
                for call, place in calls.items():
                    value = read(file, place)
                    if value is None:
                        left += 1
                    else:
                        writer.results(number, [(call, value)])
                        kept += 1
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    print(f"{kept:,} results written to {new}; {left:,} were damaged")
    return 0


def _rename(path: str, program: str) -> int:
    holder = Lock(path, os.environ, _say)
    try:
        with open(path, "r+b") as file:
            Writer(file.fileno(), Contents(file, path).end).program(program)
    finally:
        holder.release()
    print(f"{path} is the journal of {program} from now on")
    return 0


def _say(text: str) -> None:
    sys.stderr.write(f"scoop_mpi: {text}\n")


if __name__ == "__main__":
    sys.exit(main())
