"""Objects travel between ranks, whatever they are."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import pickle
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoop_mpi.errors import RemoteTraceback, SerializationError
from scoop_mpi.transport.frames import bytes_of
from scoop_mpi.wire.columns import open_column, seal
from scoop_mpi.wire.serializer import (
    OUT_OF_BAND_BYTES,
    FunctionCodec,
    decode,
    decode_error,
    encode,
    encode_error,
    forwarded,
)
from tests.arrays import ARRAYS, any_arrays, assert_same, read_only
from tests.unit.helpers import (
    Box,
    Unpicklable,
    Ununpicklable,
    column_over_the_wire,
    main_module,
    make_future,
    payload_over_the_wire,
)
from tests.unit.things import nested


def sent(thing: Any) -> Any:
    """Return `thing` as another rank gets it."""
    return decode(payload_over_the_wire(encode(thing)))


# ------------------------------------------------------------ single objects


@given(nested)
def test_an_object_survives_the_journey(thing: Any) -> None:
    assert sent(thing) == thing


def test_text_with_half_a_surrogate_pair_survives() -> None:
    assert sent("\ud800") == "\ud800"


def test_a_number_that_is_none_survives() -> None:
    assert np.isnan(sent(float("nan")))


@pytest.mark.parametrize("size", [0, 1, OUT_OF_BAND_BYTES - 1, OUT_OF_BAND_BYTES, 3_000_000])
@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_bytes_of_any_size_survive(kind: type, size: int) -> None:
    thing = kind(size)
    received = sent([thing])
    assert received == [thing]
    assert type(received[0]) is kind


def test_bytes_of_100_megabytes_survive() -> None:
    text = bytes(range(250)) * 400_000
    assert sent(text) == text
    assert sent(bytearray(text)) == text


VIEWS = {
    "of bytes": memoryview(b"abcdef"),
    "of nothing": memoryview(b""),
    "with gaps": memoryview(bytearray(b"abcdef"))[::2],
    "backwards": memoryview(b"abcdef")[::-1],
    "of one item": memoryview(bytearray(8)).cast("d", ()),
    "of numbers": memoryview(bytes(OUT_OF_BAND_BYTES)).cast("q"),
    "of no numbers": memoryview(b"").cast("d"),
    "of two dimensions": np.arange(6.0).reshape(2, 3).data,
    "in Fortran's order": np.arange(6.0).reshape(2, 3).T.data,
    "large": memoryview(bytearray(3 * OUT_OF_BAND_BYTES)),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())
def test_a_memoryview_arrives_as_one(view: memoryview) -> None:
    received = sent(view)
    assert type(received) is memoryview
    assert received.tobytes() == view.tobytes()
    assert (received.format, received.shape) == (view.format, view.shape)
    assert received.readonly == view.readonly


def test_a_memoryview_is_sent_from_its_own_memory_and_received_into_new() -> None:
    content = bytearray(3 * OUT_OF_BAND_BYTES)
    payload = encode(memoryview(content))
    assert len(payload[1]) == 1
    received = decode(payload_over_the_wire(payload))
    received[0] = 1
    assert content[0] == 0


@pytest.mark.parametrize(
    "view",
    [
        np.zeros(2, ">i4").data,
        np.zeros(2, "c16").data,
        np.zeros(2, [("x", "i4")]).data,
        np.zeros((2, 0)).data,
    ],
    ids=["foreign", "complex", "records", "nothing in two dimensions"],
)
def test_a_memoryview_that_python_cannot_make_is_an_error(view: memoryview) -> None:
    with pytest.raises(SerializationError, match=r"type memoryview .*send its tobytes\(\)"):
        encode(view)


@pytest.mark.parametrize("size", [3, OUT_OF_BAND_BYTES])
def test_a_pickle_buffer_arrives_with_its_bytes(size: int) -> None:
    assert bytes(sent(pickle.PickleBuffer(bytearray(size)))) == bytes(size)


@given(nested)
def test_what_was_received_can_be_sent_on(thing: Any) -> None:
    payload = encode(thing)
    for _ in range(3):
        payload = forwarded(payload_over_the_wire(payload))
    assert decode(payload_over_the_wire(payload)) == thing


@pytest.mark.parametrize("size", [10, 10 * OUT_OF_BAND_BYTES])
def test_large_content_can_be_sent_on(size: int) -> None:
    things: dict[str, Any] = {"array": np.arange(size), "bytes": Box(bytes(size))}
    payload = encode(things)
    for _ in range(3):
        payload = forwarded(payload_over_the_wire(payload))
    received = decode(payload)
    assert np.array_equal(received["array"], things["array"])
    assert received["bytes"] == things["bytes"]


IN_A_CYCLE = """
import gc
from scoop_mpi.wire.columns import seal
from scoop_mpi.wire.serializer import encode

class Failed(Exception):
    pass

def fail(pack):
    kept = pack(["a text of its own, %d" % i for i in range(20_000)])
    raise Failed

gc.disable()
for pack in [encode, seal] * 30:
    try:
        fail(pack)
    except Failed as error:
        error.itself = error  # the error holds the frame, and so what was packed there
gc.collect()
print("collected")
"""


def test_what_is_packed_can_be_collected_in_a_cycle() -> None:
    """Python up to 3.12.6 crashes if a cycle holds a buffer of a memoryview."""
    words = [sys.executable, "-c", IN_A_CYCLE]
    here = Path(__file__).parents[2]
    run = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False, cwd=here)
    assert (run.returncode, run.stdout, run.stderr) == (0, "collected\n", "")


def test_a_payload_opens_from_any_kind_of_memory() -> None:
    data, buffers = encode(np.arange(5000))
    for kind in (bytes, bytearray, memoryview, lambda b: np.frombuffer(b, np.uint8)):
        received = decode((kind(bytes(data)), tuple(kind(bytes(b.raw())) for b in buffers)))
        assert np.array_equal(received, np.arange(5000))


# ------------------------------------------------------------ numpy arrays


@pytest.mark.parametrize("size", [2, 3 * OUT_OF_BAND_BYTES], ids=["small", "large"])
@pytest.mark.parametrize("make", ARRAYS.values(), ids=ARRAYS.keys())
def test_an_array_survives(make: Callable[[int], np.ndarray[Any, Any]], size: int) -> None:
    array = make(size)
    assert_same(sent(array), array)


@given(any_arrays())
def test_any_array_survives(array: np.ndarray[Any, Any]) -> None:
    assert_same(sent(array), array)


@pytest.mark.parametrize("size", [2, 3 * OUT_OF_BAND_BYTES], ids=["small", "large"])
def test_an_array_arrives_writable_even_if_it_was_not(size: int) -> None:
    assert sent(np.arange(size)).flags.writeable
    assert sent(read_only(size)).flags.writeable


@pytest.mark.parametrize("size", [2, 3 * OUT_OF_BAND_BYTES], ids=["small", "large"])
@pytest.mark.parametrize("make", ARRAYS.values(), ids=ARRAYS.keys())
def test_an_array_arrives_writable_and_alone(
    make: Callable[[int], np.ndarray[Any, Any]], size: int
) -> None:
    payload = encode(make(size))
    received, another = (decode(payload_over_the_wire(payload)) for _ in range(2))
    assert received.flags.writeable
    assert not np.shares_memory(received, another)


@pytest.mark.parametrize("size", [2, 3 * OUT_OF_BAND_BYTES], ids=["small", "large"])
@pytest.mark.parametrize("name", ["plain", "in Fortran's order", "transposed", "with gaps"])
def test_a_read_only_array_arrives_writable_however_it_lies_in_memory(name: str, size: int) -> None:
    array = ARRAYS[name](size)
    array.flags.writeable = False
    received = sent(array)
    assert_same(received, array)
    assert received.flags.writeable
    if name != "with gaps":
        assert received.strides == array.strides


@pytest.mark.parametrize(
    "array",
    [
        np.empty(3, "V0"),
        np.empty((2, 3), "U0"),
        np.empty(2, "S0"),
        np.empty(4, []),
        np.empty((2, 0, 3)),
        np.empty((0,), "V0"),
    ],
    ids=str,
)
def test_a_read_only_array_of_no_bytes_survives(array: np.ndarray[Any, Any]) -> None:
    array.flags.writeable = False
    received = sent(array)
    assert (received.shape, received.dtype) == (array.shape, array.dtype)
    assert received.flags.writeable


@given(any_arrays())
def test_any_read_only_array_arrives_writable(array: np.ndarray[Any, Any]) -> None:
    array.flags.writeable = False
    received = sent(array)
    assert_same(received, array)
    assert received.flags.writeable


def test_an_array_in_fortrans_order_stays_so() -> None:
    array = np.asfortranarray(np.ones((200, 300)))
    assert sent(array).flags.f_contiguous


def test_a_large_array_is_sent_from_its_own_memory() -> None:
    for array in (np.ones((200, 300)), np.asfortranarray(np.ones((200, 300)))):
        _, (buffer,) = encode(array)
        assert np.shares_memory(np.frombuffer(bytes_of(buffer), np.uint8), array)


def test_a_large_array_is_received_into_its_own_memory() -> None:
    array = np.arange(OUT_OF_BAND_BYTES)
    data, (buffer,) = payload_over_the_wire(encode(array))
    assert np.shares_memory(decode((data, (buffer,))), np.frombuffer(buffer, np.uint8))


def test_a_small_array_stays_in_the_stream() -> None:
    _, buffers = encode(np.zeros(OUT_OF_BAND_BYTES // 8 - 1))
    assert buffers == ()
    _, buffers = encode(np.zeros(OUT_OF_BAND_BYTES // 8))
    assert len(buffers) == 1


def test_arrays_within_an_object_stay_out_of_the_stream() -> None:
    big_array = np.ones(OUT_OF_BAND_BYTES)
    data, buffers = encode({"a": [big_array, 2 * big_array], "b": Box(big_array)})
    assert len(buffers) == 2, "the same array twice is one"
    assert len(data) < OUT_OF_BAND_BYTES


def test_what_is_received_is_a_copy() -> None:
    array = np.zeros(OUT_OF_BAND_BYTES)
    received = sent(array)
    array[0] = 1
    assert received[0] == 0


# ------------------------------------------------------------ what can't be sent


def test_an_object_that_cannot_be_pickled_is_named_by_its_type() -> None:
    with pytest.raises(SerializationError, match=r"type Unpicklable .*refuses to be pickled"):
        encode(Unpicklable())


def test_an_object_that_cannot_be_unpickled_is_named_by_its_type() -> None:
    with pytest.raises(SerializationError, match=r"refuse_to_unpickle.*Refusal: it refuses"):
        sent(Ununpicklable())


class Silent:
    def __reduce__(self) -> Any:
        raise NotImplementedError


def test_an_error_without_a_text_is_named_by_its_own_type() -> None:
    with pytest.raises(SerializationError, match=r"type Silent .*NotImplementedError"):
        encode(Silent())


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even this")


class Unspeakable:
    """Raises an exception that can't be printed when it is pickled or unpickled."""

    def __init__(self, when: str) -> None:
        self.when = when

    def __reduce__(self) -> Any:
        if self.when == "pickling":
            raise UnspeakableError
        return raise_unspeakable, ()


def raise_unspeakable() -> None:
    raise UnspeakableError


@pytest.mark.parametrize("when", ["pickling", "unpickling"])
def test_an_error_that_cannot_be_printed_is_told_all_the_same(when: str) -> None:
    column = column_over_the_wire(seal([Box(1), Unspeakable(when), Box(2)]))
    items, failures = open_column(column)
    assert list(items) == [Box(1), None, Box(2)]
    assert list(failures) == [1]


class Odd(BaseException):
    """No `Exception`, as what some libraries raise."""


class Rude:
    """Raises anything, when it is pickled or unpickled, or whatever it is asked."""

    def __init__(self, kind: type[BaseException], when: str) -> None:
        self.__dict__.update(kind=kind, when=when)

    def __reduce__(self) -> Any:
        if self.when == "pickling":
            raise self.kind("on purpose")
        return raise_it, (self.kind,)

    def __getattr__(self, name: str) -> Any:
        raise self.kind(name)

    def __call__(self) -> None: ...


class RudeState:
    def __init__(self, kind: type[BaseException]) -> None:
        self.kind = kind

    def __setstate__(self, state: dict[str, Any]) -> None:
        raise state["kind"]("on purpose")


def raise_it(kind: type[BaseException]) -> None:
    raise kind("on purpose")


@pytest.mark.parametrize(
    "kind",
    [KeyError, SystemExit, GeneratorExit, KeyboardInterrupt, asyncio.CancelledError, Odd],
)
def test_whatever_an_objects_own_code_raises_is_its_own_failure(kind: type[BaseException]) -> None:
    with pytest.raises(SerializationError, match=f"type Rude can't be sent.*{kind.__name__}"):
        encode(Rude(kind, "pickling"))
    with pytest.raises(SerializationError, match="the function Rude can't be sent"):
        FunctionCodec().seal(Rude(kind, "pickling"))
    with pytest.raises(SerializationError, match=f"can't be unpickled.*{kind.__name__}"):
        sent([RudeState(kind)])
    error = sent_error(ValueError(Rude(kind, "pickling")))
    assert "raised ValueError, which can't be sent back" in str(error)
    error = sent_error(ValueError(RudeState(kind)))
    assert "raised ValueError, which can't be unpickled" in str(error)


def test_a_future_cannot_be_sent() -> None:
    future = make_future(double, 1)
    for thing in (future, [future], {"future": future}, functools.partial(double, future)):
        with pytest.raises(SerializationError, match=r"a future can't be sent.*its result\(\)"):
            encode(thing)
    with pytest.raises(SerializationError, match=r"a future can't be sent.*its result\(\)"):
        encode(lambda: future)


@pytest.mark.parametrize(
    "thing",
    [iter([1]), open, types, [lambda: 0, Unpicklable()]],
    ids=["iterator", "builtin", "module", "nested"],
)
def test_an_object_arrives_or_says_that_it_cannot(thing: Any) -> None:
    try:
        payload = encode(thing)
    except SerializationError as error:
        assert type(thing).__qualname__ in str(error)  # noqa: PT017
    else:
        assert type(decode(payload_over_the_wire(payload))) is type(thing)


def test_a_chain_too_deep_to_pickle_is_an_error_of_its_own() -> None:
    chain: list[Any] = []
    for _ in range(100_000):
        chain = [chain]
    with pytest.raises(SerializationError, match="type list"):
        encode(chain)


@given(st.data())
def test_a_payload_cut_short_is_an_error(data: st.DataObject) -> None:
    stream = bytes(encode([Box(1), "text", 2.0])[0])
    length = data.draw(st.integers(0, len(stream) - 1))
    with pytest.raises(SerializationError, match="an object of type"):
        decode((stream[:length], ()))


# ------------------------------------------------------------ functions and classes


def double(x: Any) -> Any:
    return 2 * x


class Tools:
    def __init__(self, factor: int) -> None:
        self.factor = factor

    def times(self, x: int) -> int:
        return self.factor * x

    @classmethod
    def make(cls, x: int) -> Tools:
        return cls(x)

    @staticmethod
    def triple(x: int) -> int:
        return 3 * x

    class Inner:
        pass


def make_adder(n: int) -> Callable[[int], int]:
    def add(x: int) -> int:
        return x + n

    return add


def shadowed(x: int) -> int:
    return -x


the_first_shadowed = shadowed


def shadowed(x: int) -> int:  # type: ignore[no-redef]
    return x


@pytest.mark.parametrize(
    "thing",
    [double, len, Tools, Tools.Inner, Tools.triple, np.sum, np.add, functools.reduce, Exception],
    ids=repr,
)
def test_what_can_be_imported_travels_by_name(thing: Any) -> None:
    assert sent(thing) is thing


@pytest.mark.parametrize(
    "kind",
    [type(None), type(...), type(NotImplemented), types.FunctionType, types.ModuleType],
    ids=repr,
)
def test_types_without_a_name_of_their_own_are_the_same_everywhere(kind: type) -> None:
    assert sent(kind) is kind


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x + 10,
        make_adder(10),
        functools.partial(make_adder(10)),
        functools.partial(lambda x, y: x + y, 10),
        Tools(3).times,
        lambda x: Tools.make(3).times(x),
        lambda x: max(map(Tools.triple, [x])),
    ],
)
def test_lambdas_closures_partials_and_methods_travel(function: Callable[[int], int]) -> None:
    assert sent(function)(5) == 15


def test_a_class_made_in_a_function_travels_with_its_objects() -> None:
    class Local:
        def __init__(self, x: int) -> None:
            self.x = x

        def get(self) -> int:
            return self.x

    assert sent(Local(5)).get() == 5
    assert sent(Local)(6).get() == 6


def test_a_function_whose_name_means_another_travels_by_value() -> None:
    assert sent(the_first_shadowed)(5) == -5
    assert sent(shadowed)(5) == 5


def test_a_function_by_value_refers_to_others_by_name() -> None:
    received = sent(lambda: double)
    assert received() is double


PROGRAM = """
from collections import namedtuple

def outside(x):
    return x + 1

class Outside:
    class Inner:
        pass

def guarded(x):
    return outside(x) * 10

class Guarded:
    def get(self):
        return 5

Point = namedtuple("Point", "x y")
"""
OUTSIDE = {"outside", "Outside", "namedtuple"}


@pytest.mark.parametrize("name", ["outside", "Outside", "Outside.Inner"])
def test_the_programs_functions_and_classes_travel_by_name(name: str) -> None:
    with main_module(PROGRAM, OUTSIDE) as program:
        thing = functools.reduce(getattr, name.split("."), program)
        assert sent(thing) is thing


def test_what_is_defined_under_the_main_guard_travels_by_value() -> None:
    with main_module(PROGRAM, OUTSIDE) as program:
        function = encode(program.guarded)
        instance = encode(program.Guarded())
        method = encode(program.Guarded().get)
        point = encode([program.Point(1, 2)])
    with main_module("def outside(x): return x + 1", None):  # as on another rank
        assert decode(payload_over_the_wire(function))(5) == 60
        assert decode(payload_over_the_wire(instance)).get() == 5
        assert decode(payload_over_the_wire(method))() == 5
        assert decode(payload_over_the_wire(point))[0].y == 2


def test_a_function_under_the_guard_refers_to_those_outside_by_name() -> None:
    with main_module(PROGRAM, OUTSIDE) as program:
        payload = encode(program.guarded)
    with main_module("def outside(x): return 'the same name here'", None):
        assert decode(payload_over_the_wire(payload))(0) == "the same name here" * 10


def test_where_nothing_is_known_of_the_main_module_it_travels_by_value() -> None:
    with main_module(PROGRAM, None) as program:
        payload = encode(program.outside)
    assert decode(payload_over_the_wire(payload))(5) == 6


def test_a_sealed_function_is_remembered_by_its_name() -> None:
    codec = FunctionCodec()
    assert codec.seal(double) is codec.seal(double)
    payload = payload_over_the_wire(codec.seal(double))
    assert codec.open(payload) is double
    assert codec.open(payload) is double


def test_a_name_that_changes_is_looked_at_again() -> None:
    codec = FunctionCodec()
    source = "def outside(x): return 'before'"
    with main_module(source, {"outside"}) as module:
        program: Any = module
        before = program.outside
        payload = payload_over_the_wire(codec.seal(before))
        assert codec.open(payload) is before
        program.outside = after = lambda x: "after"
        assert codec.seal(before) != payload, "by its name it would be another"
        assert codec.open(payload) is after
        assert codec.open(payload_over_the_wire(codec.seal(after)))(0) == "after"
        program.outside = before
        assert codec.open(codec.seal(before)) is before


def test_a_closure_that_changes_is_sealed_anew() -> None:
    codec = FunctionCodec()
    n = 1

    def get() -> int:
        return n

    before = codec.seal(get)
    n = 2
    after = codec.seal(get)
    assert codec.open(payload_over_the_wire(before))() == 1
    assert codec.open(payload_over_the_wire(after))() == 2


def test_functions_by_value_do_not_share_their_state() -> None:
    codec = FunctionCodec()

    def count(seen: list[int] = []) -> int:  # noqa: B006 - the state
        seen.append(1)
        return len(seen)

    payload = payload_over_the_wire(codec.seal(count))
    assert [codec.open(payload)(), codec.open(payload)()] == [1, 1]


def test_many_functions_can_be_sealed_and_opened() -> None:
    lines = [f"def f{number}(): return {number}" for number in range(600)]
    with main_module("\n".join(lines), {f"f{number}" for number in range(600)}) as program:
        codec = FunctionCodec()
        for number in [*range(600), *range(600)]:
            function = getattr(program, f"f{number}")
            assert codec.open(payload_over_the_wire(codec.seal(function))) is function


def test_a_function_that_cannot_be_sent_is_named() -> None:
    generator = (i for i in range(3))

    def take() -> int:
        return next(generator)

    with pytest.raises(SerializationError, match=r"the function .*take can't be sent.*generator"):
        FunctionCodec().seal(take)


def test_a_function_that_cannot_be_opened_is_an_error() -> None:
    payload = payload_over_the_wire(
        FunctionCodec().seal(functools.partial(double, Ununpicklable()))
    )
    with pytest.raises(SerializationError, match="refuses to be unpickled"):
        FunctionCodec().open(payload)


def test_a_function_that_carries_large_data_can_be_sealed_and_opened() -> None:
    table = np.arange(OUT_OF_BAND_BYTES)
    payload = payload_over_the_wire(FunctionCodec().seal(lambda i: table[i]))
    function = FunctionCodec().open(forwarded(payload))
    assert function(77) == 77


# ------------------------------------------------------------ exceptions


def caught(error: BaseException) -> BaseException:
    """Return `error` with a traceback, as a task would raise it."""
    try:
        raise error
    except BaseException as raised:
        return raised


def sent_error(error: BaseException) -> BaseException:
    """Return an exception of rank 3 as its owner gets it."""
    encoded = encode_error(caught(error), 3, "node7")
    return decode_error(sent(encoded))


class WithDetails(Exception):
    def __init__(self, one: int, *, two: int = 0) -> None:
        super().__init__(one)
        self.two = two


class Stubborn(Exception):
    """The classic mistake: it is unpickled with other arguments than it was made with."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    code: int

    def __reduce__(self) -> Any:
        return Frozen, (self.code,)


class Mute(Exception):
    def __str__(self) -> str:
        raise ValueError("it won't be printed")


class Impostor(Exception):
    def __reduce__(self) -> Any:
        return str, ("no exception",)


@pytest.mark.parametrize(
    "error",
    [ValueError("text", 5), KeyError("key"), SystemExit(3), KeyboardInterrupt(), OSError(2, "no")],
    ids=repr,
)
def test_an_exception_arrives_as_it_was(error: BaseException) -> None:
    received = sent_error(error)
    assert type(received) is type(error)
    assert received.args == error.args


def test_an_exception_keeps_its_attributes() -> None:
    received = sent_error(WithDetails(1, two=2))
    assert isinstance(received, WithDetails)
    assert received.two == 2


def test_an_exceptions_cause_shows_where_it_was_raised() -> None:
    cause = sent_error(ValueError("text")).__cause__
    assert isinstance(cause, RemoteTraceback)
    for part in ("rank 3", "node7", "in caught", "raise error", "ValueError: text"):
        assert part in str(cause)


def test_an_exception_class_made_in_a_function_arrives() -> None:
    class Local(Exception):
        pass

    received = sent_error(Local("text"))
    assert type(received).__name__ == "Local"
    assert received.args == ("text",)


def test_a_frozen_exception_gets_its_cause_too() -> None:
    received = sent_error(Frozen(5))
    assert received == Frozen(5)
    assert isinstance(received.__cause__, RemoteTraceback)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (Stubborn(1, 2), "raised Stubborn, which can't be unpickled.*missing 1 required"),
        (ValueError(Unpicklable()), "raised ValueError, which can't be sent.*refuses"),
        (ValueError(Ununpicklable()), "raised ValueError, which can't be unpickled.*refuses"),
        (Impostor("x"), "raised Impostor, which unpickles as no exception"),
    ],
    ids=["stubborn", "unpicklable", "ununpicklable", "impostor"],
)
def test_an_exception_that_cannot_travel_is_told_by_its_type(
    error: BaseException, text: str
) -> None:
    received = sent_error(error)
    assert isinstance(received, SerializationError)
    with pytest.raises(SerializationError, match=text):
        raise received
    assert isinstance(received.__cause__, RemoteTraceback)
    assert "in caught" in str(received.__cause__)


def test_an_exception_that_cannot_be_printed_arrives() -> None:
    received = sent_error(Mute("content"))
    assert isinstance(received, Mute)
    assert received.args == ("content",)
    assert "Mute" in str(received.__cause__)
