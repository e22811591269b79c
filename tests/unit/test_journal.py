"""The journal: its file, who writes it, and by what calls are known again."""

from __future__ import annotations

import enum
import errno
import functools
import json
import logging
import os
import random
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from scoop_mpi.journal import __main__ as command
from scoop_mpi.journal import identity, lock
from scoop_mpi.journal.identity import Unidentified, of_arguments, of_function
from scoop_mpi.journal.journal import Journal, Lost
from scoop_mpi.journal.lock import Lock
from scoop_mpi.journal.records import Contents, Function, JournalError, Salvage, Writer, read
from scoop_mpi.tasks.future import KeywordCall
from scoop_mpi.tasks.terms import Termed, Terms

Open = Callable[..., Journal]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def open_journal(path: Path) -> Iterator[Open]:
    opened: list[Journal] = []

    def open_(program: str = "prog.py", environment: dict[str, str] | None = None) -> Journal:
        logger = logging.getLogger("scoop_mpi")
        journal = Journal(str(path), program, logger, environment or {}, lambda _: None)
        opened.append(journal)
        return journal

    yield open_
    for journal in opened:
        journal.close()


def keep(journal: Journal, function: Callable[..., Any], *calls: tuple[Any, ...]) -> list[Any]:
    """Make calls as a job would, and return their results."""
    results = []
    for arguments in calls:
        call = journal.call_of(function, arguments)
        assert call is not None
        if call.place is not None:
            results.append(journal.result(call))
            continue
        results.append(function(*arguments))
        journal.keep(function, [(call, results[-1])])
    return results


def square(x: int) -> int:
    return x * x


def power(x: int, y: int) -> int:
    return int(x**y)


# ---------------------------------------------------------------- the file


def written(path: Path) -> list[tuple[bytes, bytes]]:
    """Write a journal of two functions and five results; return them."""
    values = [(bytes([number]) * 20, b"value %d" % number) for number in range(5)]
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    writer = Writer(descriptor, 0)
    writer.program("prog.py")
    writer.function(Function("f", "00"))
    writer.results(0, values[:2])
    writer.function(Function("g", "11"))
    writer.results(1, values[2:4])
    writer.results(0, values[4:])
    os.close(descriptor)
    return values


def values_in(contents: Contents, path: Path) -> list[tuple[bytes, bytes | None]]:
    with path.open("rb") as file:
        return [
            (call, read(file, place))
            for results in contents.results
            for call, place in results.places
        ]


def contents_of(path: Path) -> Contents:
    with path.open("rb") as file:
        return Contents(file, str(path))


def values_or_refusal(path: Path) -> list[tuple[bytes, bytes | None]] | str:
    try:
        return values_in(contents_of(path), path)
    except JournalError as error:
        return str(error)


def test_what_is_written_is_read(path: Path) -> None:
    values = written(path)
    contents = contents_of(path)
    assert contents.program == "prog.py"
    assert contents.functions == [Function("f", "00"), Function("g", "11")]
    assert [results.function for results in contents.results] == [0, 1, 0]
    assert values_in(contents, path) == values
    assert contents.end == contents.size == path.stat().st_size


def test_a_file_that_was_cut_at_any_byte_goes_on(path: Path) -> None:
    values = written(path)
    whole = path.read_bytes()
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        contents = contents_of(path)
        found = values_in(contents, path)
        assert found == values[: len(found)]
        assert contents.end <= length
        descriptor = os.open(path, os.O_RDWR)
        writer = Writer(descriptor, contents.end)
        number = len(contents.functions)
        writer.function(Function("h", "22"))
        writer.results(number, [(b"n" * 20, b"new")])
        os.close(descriptor)
        assert values_in(contents_of(path), path) == [*found, (b"n" * 20, b"new")]
    assert len(found) == 5


def test_one_that_is_damaged_in_the_middle_is_left_alone(path: Path) -> None:
    values = written(path)
    whole = path.read_bytes()
    first = whole.index(b"scoop_mpi journal 1\n") + len(b"scoop_mpi journal 1\n")
    seen = set()
    for place in range(first, len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 0x55
        path.write_bytes(damaged)
        found = values_or_refusal(path)
        if isinstance(found, str):
            seen.add("refused")
            assert "is damaged: what stands at byte" in found
            assert f"python -m scoop_mpi.journal {path} --compact NEW" in found
        else:  # a value is damaged, which shows when it is read, or it was the last record
            seen.add("value" if len(found) == 5 else "last")
            good = [value for value in found if value[1] is not None]
            assert [value for value in values if value in good] == good
            assert len(good) >= 4
        with path.open("rb") as file:
            salvage = Salvage(file, str(path))
        assert {value for value in values_in(salvage, path) if value[1]} <= set(values)
        assert path.read_bytes() == damaged
    assert seen == {"refused", "value", "last"}


def test_random_bytes_of_a_large_one_may_be_lost(path: Path) -> None:
    numbers = random.Random(5)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    writer = Writer(descriptor, 0)
    writer.function(Function("f", "00"))
    values = {}
    for number in range(300):
        value = numbers.randbytes(numbers.randrange(20_000))
        values[number.to_bytes(20, "big")] = value
        writer.results(0, [(number.to_bytes(20, "big"), value)])
    os.close(descriptor)
    whole = path.read_bytes()
    for _ in range(40):
        start = numbers.randrange(100, len(whole))
        damaged = whole[:start] + numbers.randbytes(50) + whole[start + 50 :]
        path.write_bytes(damaged)
        with path.open("rb") as file:
            found = values_in(Salvage(file, str(path)), path)
        good = [(call, value) for call, value in found if value is not None]
        assert len(good) >= 298
        assert all(values[call] == value for call, value in good)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"my own notes", "is no journal of scoop_mpi's, and is left as it is"),
        (b"\x00" * 100, "is no journal of scoop_mpi's"),
        (b"scoop_mpi journal 7\nwhatever", "is of version 7, and this scoop_mpi knows version 1"),
    ],
)
def test_another_file_is_left_alone(
    path: Path, open_journal: Open, text: bytes, message: str
) -> None:
    path.write_bytes(text)
    with pytest.raises(JournalError, match=message):
        open_journal()
    assert path.read_bytes() == text
    assert not Path(f"{path}.lock").exists()


def test_a_place_where_there_can_be_no_file(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere" / "journal"):
        with pytest.raises(JournalError, match=r"can't open the journal .*: (Is a|No such)"):
            Journal(str(path), "prog.py", logging.getLogger("scoop_mpi"), {}, lambda _: None)


def test_the_journal_of_another_program(path: Path, open_journal: Open) -> None:
    open_journal("one.py").close()
    with pytest.raises(JournalError, match=r"is of the program one.py, not of two.py"):
        open_journal("two.py")
    assert command.main([str(path), "--program", "two.py"]) == 0
    open_journal("two.py").close()


def test_a_full_disk(
    path: Path,
    open_journal: Open,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    logging.getLogger("scoop_mpi").propagate = True
    journal = open_journal()
    keep(journal, square, (1,), (2,))
    write = os.pwrite

    def fill(descriptor: int, data: bytes, offset: int) -> int:
        if len(data) > 10:
            return write(descriptor, data[:10], offset)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", fill)
    assert keep(journal, square, (3,), (4,)) == [9, 16]
    monkeypatch.undo()
    assert keep(journal, square, (5,)) == [25]
    assert caplog.text.count("can't be written any more: No space left on device") == 1
    journal.close()
    again = open_journal()
    assert len(again) == 2
    keep(again, square, (1,), (2,), (3,))
    assert again.taken == 2


# ---------------------------------------------------------------- who writes it


def test_one_job_at_a_time(path: Path, open_journal: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_journal()
    monkeypatch.setattr(lock, "_SECONDS_TO_GO", 1.0)
    with pytest.raises(JournalError, match=rf"is in use: process {os.getpid()} on .* writes it"):
        open_journal()
    first.close()
    open_journal()


def left_by(path: Path, **changes: Any) -> Path:
    """Make the file of a job that was killed."""
    left = Path(f"{path}.lock")
    holder = {"host": os.uname().nodename, "pid": os.getpid(), "began": "1", "job": None}
    left.write_text(json.dumps({**holder, **changes}))
    return left


def test_a_job_of_this_host_that_is_gone(path: Path, open_journal: Open) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    for changes in ({"pid": child.pid}, {}):  # there is no such process, or it is another
        left_by(path, **changes)
        open_journal().close()


def test_a_job_that_slurm_has_started_again(path: Path, open_journal: Open) -> None:
    left_by(path, host="elsewhere", job=["17", 0])
    open_journal(environment={"SLURM_JOB_ID": "17", "SLURM_RESTART_COUNT": "1"}).close()


def test_a_lock_that_is_not_whole(path: Path, open_journal: Open) -> None:
    Path(f"{path}.lock").write_text('{"host": "elsew')
    open_journal().close()


def test_a_job_of_another_host_is_watched(path: Path) -> None:
    left = left_by(path, host="elsewhere", pid=12)
    told: list[str] = []
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)

    Lock(str(path), {}, told.append, sleep).release()
    assert sum(slept) == 60
    assert told == [
        f"the journal {path} was left locked, or is in use, by process 12 on elsewhere: waiting "
        "up to 60 s to see which"
    ]
    left_by(path, host="elsewhere", pid=12)

    def sleep_and_touch(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 65:
            os.utime(left, (1, 1))

    with pytest.raises(JournalError, match=rf"is in use: process 12 on elsewhere .* {left}"):
        Lock(str(path), {}, told.append, sleep_and_touch)
    assert len(slept) == 65
    assert left.exists()


def test_it_goes_while_it_is_watched(path: Path) -> None:
    left = left_by(path, host="elsewhere", pid=12)
    Lock(str(path), {}, lambda _: None, lambda _: left.unlink(missing_ok=True)).release()


# ---------------------------------------------------------------- by what a call is known


def module_of(source: str, name: str = "prog") -> ModuleType:
    module = ModuleType(name)
    exec(compile(textwrap.dedent(source), f"{name}.py", "exec"), module.__dict__)
    return module


PROGRAM = """
    import math
    STEPS = 100
    TABLE = [1, 2]
    def helper(x):
        "Does something."
        return x + STEPS
    class Model:
        def run(self, x):
            return helper(x)
    def simulate(x, scale=2):
        "Simulates."
        model = Model()
        return [math.sin(model.run(y) * scale) for y in range(x)]
"""


def digest(source: str = PROGRAM, name: str = "simulate") -> bytes:
    return of_function(getattr(module_of(source), name)).digest


def test_a_function_is_known_again() -> None:
    assert of_function(module_of(PROGRAM).simulate).name == "prog.simulate"
    assert digest() == digest()
    assert digest() == digest(f"\n\n    # a comment\n{PROGRAM}")
    assert digest() == digest(PROGRAM.replace("Simulates.", "Simulates it."))
    assert digest() == digest(PROGRAM.replace("[1, 2]", "[1, 2, 3]"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("* scale", "+ scale"),
        ("scale=2", "scale=3"),
        ("STEPS = 100", "STEPS = 101"),
        ("return x + STEPS", "return x - STEPS"),
        ("return helper(x)", "return helper(x) + 1"),
        ("math.sin", "math.cos"),
        ("for y in range(x)", "for y in range(x) if y"),
    ],
)
def test_a_function_that_has_changed_is_another(old: str, new: str) -> None:
    assert old in PROGRAM
    assert digest() != digest(PROGRAM.replace(old, new))


def adder(number: Any) -> Callable[[int], Any]:
    return lambda x: x + number


class Adder:
    def __init__(self, number: Any) -> None:
        self.number = number

    def add(self, x: int) -> Any:
        return x + self.number

    def __call__(self, x: int) -> Any:
        return x + self.number


def test_what_a_function_encloses_counts() -> None:
    makers: list[Callable[[Any], Callable[..., Any]]] = [
        adder,
        lambda number: Adder(number).add,
        Adder,
        lambda number: functools.partial(Adder.add, Adder(number)),
        lambda number: functools.partial(power, y=number),
        lambda number: [number].append,
    ]
    digests = [of_function(make(number)).digest for make in makers for number in (1, 2, "1")]
    assert len(set(digests)) == len(digests)
    assert digests == [of_function(make(n)).digest for make in makers for n in (1, 2, "1")]


def test_a_function_that_names_itself_or_comes_round() -> None:
    source = """
        def even(n):
            return n == 0 or odd(n - 1)
        def odd(n):
            return n != 0 and even(n - 1)
        def fib(n):
            return n if n < 2 else fib(n - 1) + fib(n - 2)
    """
    for name in ("even", "odd", "fib"):
        assert digest(source, name) == digest(source, name)
    assert digest(source, "even") != digest(source.replace("n != 0", "n > 0"), "even")


def test_built_in_functions_and_classes() -> None:
    functions: list[Callable[..., Any]] = [
        abs,
        len,
        complex,
        np.sin,
        np.linalg.norm,
        "a".join,
        "b".join,
        Adder,
        square,
    ]
    digests = [of_function(function).digest for function in functions]
    assert len(set(digests)) == len(digests)


def test_keywords_terms_and_a_key() -> None:
    plain = of_function(square)
    assert of_function(KeywordCall(square, y=1)) == plain
    assert of_function(Termed(square, Terms(name="first", retries=2))) == plain
    assert of_function(square, "mine") == of_function(adder(1), "mine") != plain
    assert identity.key_of(square) is True
    assert identity.key_of(KeywordCall(Termed(square, Terms(journal=False)), y=1)) is False
    assert identity.key_of(Termed(square, Terms(journal="mine"))) == "mine"


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


def arguments() -> list[tuple[Any, ...]]:
    text = "".join(["a", "b"])
    cyclic: list[Any] = [1]
    cyclic.append(cyclic)
    return [
        (),
        (1,),
        (1.0,),
        (True,),
        ("1",),
        (b"1",),
        (None,),
        (1, 2),
        ((1, 2),),
        ([1, 2],),
        (0.0,),
        (-0.0,),
        (text, text),
        ([text, text],),
        ({"a": 1, "b": [2]},),
        ({1, 2, 3},),
        (frozenset("abc"),),
        (np.arange(6),),
        (np.arange(6).reshape(2, 3),),
        (np.arange(6.0),),
        (np.arange(12)[::2],),
        (np.array([None, 1]),),
        (square,),
        (adder(1),),
        (adder(2),),
        (Adder(1),),
        (Adder(2),),
        (Adder,),
        (Colour.RED,),
        (Colour.BLUE,),
        (cyclic,),
        (range(5),),
        (slice(1, 2),),
    ]


def test_arguments_are_known_again() -> None:
    digests = [of_arguments(square, each) for each in arguments()]
    assert digests == [of_arguments(square, each) for each in arguments()]
    assert len(set(digests)) == len(digests)


def test_equal_arguments_are_alike_be_they_one_object_or_two() -> None:
    one, two = ["x" * 5 + str(number) for number in (1, 1)]
    assert one is not two
    assert of_arguments(square, ([one, one],)) == of_arguments(square, ([one, two],))
    row = [1.5, 2.5]
    assert of_arguments(square, ([row, row],)) == of_arguments(square, ([row, list(row)],))


def test_keyword_arguments_have_no_order() -> None:
    first = of_arguments(KeywordCall(square, a=1, b=2), ())
    assert first == of_arguments(KeywordCall(square, b=2, a=1), ())
    assert first != of_arguments(KeywordCall(square, a=2, b=1), ())


def test_what_can_t_be_pickled_can_t_be_known_again() -> None:
    with pytest.raises(Unidentified, match="can't be pickled"):
        of_arguments(square, (threading.Lock(),))
    with pytest.raises(Unidentified, match="can't be pickled"):
        of_function(adder(threading.Lock()))


def test_another_process_finds_the_same() -> None:
    source = textwrap.dedent(PROGRAM) + textwrap.dedent("""
        import numpy as np
        from scoop_mpi.journal.identity import of_arguments, of_function
        if __name__ == "__main__":
            words = {"some", "words", "in", "a", "set"}
            print(of_function(simulate).digest.hex())
            print(of_function(lambda x: x in {"a", "b"}).digest.hex())
            print(of_arguments(simulate, (words, {"k": np.ones(3)}, Model())).hex())
    """)
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    command_ = [sys.executable, "-c", source]
    first, second = (subprocess.check_output(command_, env=environment) for _ in range(2))
    assert first == second


# ---------------------------------------------------------------- a job's


def test_results_of_an_earlier_job(open_journal: Open) -> None:
    first = open_journal()
    assert keep(first, square, (2,), (3,), (2,)) == [4, 9, 4]
    assert (first.taken, first.kept) == (0, 3)
    first.close()
    second = open_journal()
    assert len(second) == 3
    assert keep(second, square, (2,), (2,), (2,), (3,), (4,)) == [4, 4, 4, 9, 16]
    assert (second.taken, second.kept) == (3, 2)
    assert "3 results were taken from the journal" in second.summary()


def test_equal_calls_are_known_by_their_number(open_journal: Open) -> None:
    drawn = iter(range(100))

    def draw() -> int:
        return next(drawn)

    # What is drawn is nothing that the function encloses as far as its digest goes.
    key = Termed(draw, Terms(journal="draws"))
    first = open_journal()
    calls = [first.call_of(key, ()) for _ in range(3)]
    for call in reversed(calls):
        assert call is not None
        first.keep(key, [(call, draw())])
    first.close()
    assert keep(open_journal(), key, (), (), (), ()) == [2, 1, 0, 3]


def test_a_changed_function(open_journal: Open, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("scoop_mpi").propagate = True
    first = open_journal()
    keep(first, module_of("def f(x):\n    return x").f, (1,))
    first.close()
    second = open_journal()
    changed = module_of("def f(x):\n    return -x").f
    assert keep(second, changed, (1,), (2,)) == [-1, -2]
    assert caplog.text.count("has results of prog.f as it was before: it has changed since") == 1


def test_left_out_by_the_program(open_journal: Open) -> None:
    journal = open_journal()
    assert journal.call_of(Termed(square, Terms(journal=False)), (1,)) is None
    assert journal.calls_of(Termed(square, Terms(journal=False)), [(1,), (2,)]) is None


def test_results_that_can_t_be_kept(open_journal: Open, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("scoop_mpi").propagate = True
    journal = open_journal()

    def lock(x: int) -> Any:
        return threading.Lock() if x else x

    keep(journal, lock, (0,), (1,), (2,))
    assert journal.kept == 1
    assert caplog.text.count("keeps no results of") == 1
    assert "lock that can't be pickled (TypeError): they are made again" in caplog.text


def test_lambdas_and_classes_of_functions_are_results_too(open_journal: Open) -> None:
    first = open_journal()
    keep(first, adder, (5,))
    first.close()
    second = open_journal()
    call = second.call_of(adder, (5,))
    assert call is not None
    assert second.result(call)(2) == 7


def test_a_result_that_is_damaged_or_can_t_be_opened(
    path: Path, open_journal: Open, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("scoop_mpi").propagate = True
    first = open_journal()
    keep(first, str, ("a text that is found",), ("another one",))
    first.close()
    path.write_bytes(path.read_bytes().replace(b"a text that is found", b"a text that is lost!"))
    second = open_journal()
    call = second.call_of(str, ("a text that is found",))
    assert call is not None
    with pytest.raises(Lost):
        second.result(call)
    assert "is damaged: the call is made again" in caplog.text
    assert keep(second, str, ("another one",)) == ["another one"]


# ---------------------------------------------------------------- the command


def run(*words: object) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "scoop_mpi.journal", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


def test_the_command_lists_checks_and_compacts(
    path: Path, open_journal: Open, tmp_path: Path
) -> None:
    first = open_journal()
    keep(first, module_of("def f(x):\n    return x").f, (1,), (2,))
    keep(first, module_of("def f(x):\n    return -x").f, (1,))
    keep(first, square, ("not that",)[:0] or (7,), (8,))
    first.close()
    status, text, _ = run(path)
    assert status == 0
    lines = text.splitlines()
    assert lines[0] == "program: prog.py"
    assert [line.partition(": ")[2].partition(",")[0] for line in lines[1:]] == [
        "2 results",
        "1 results",
        "2 results",
    ]
    assert run(path, "--check") == (0, "5 results are whole, 0 are damaged\n", "")
    new = tmp_path / "new"
    assert run(path, "--compact", new)[:2] == (
        0,
        f"3 results written to {new}; 0 were damaged\n",
    )
    assert run(new, "--check")[1] == "3 results are whole, 0 are damaged\n"
    status, _, error = run(path, "--compact", new)
    assert status == 1
    assert error == f"scoop_mpi: {new}: File exists\n"
    status, _, error = run(tmp_path / "none")
    assert (status, error) == (1, f"scoop_mpi: {tmp_path / 'none'}: No such file or directory\n")


def test_the_command_finds_damage(path: Path, tmp_path: Path) -> None:
    written(path)
    data = bytearray(path.read_bytes())
    data[data.index(b"value 2")] ^= 1
    data[data.index(b'{"name": "g"') + 3] ^= 1
    path.write_bytes(data)
    status, text, _ = run(path, "--check")
    assert status == 1
    assert "bytes belong to no whole record" in text
    status, _, error = run(path)
    assert status == 1
    assert "is damaged: what stands at byte" in error
    status, text, _ = run(path, "--compact", tmp_path / "new")
    assert status == 0
    assert text.startswith("3 results written")
