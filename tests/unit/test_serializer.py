"""Objects travel between ranks, alone and in columns, whatever they are."""

from __future__ import annotations

import dataclasses
import enum
import functools
import pickle
import types
from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoop_mpi.errors import RemoteTraceback, SerializationError
from scoop_mpi.messages import bytes_of
from scoop_mpi.serializer import (
    OUT_OF_BAND_BYTES,
    FunctionCodec,
    Sealed,
    decode,
    decode_error,
    encode,
    encode_error,
    forwarded,
    open_column,
    seal,
    seal_calls,
)
from tests.arrays import ARRAYS, any_arrays, assert_same, read_only
from tests.unit.helpers import (
    Box,
    Unpicklable,
    Ununpicklable,
    batch_over_the_wire,
    column_over_the_wire,
    main_module,
    payload_over_the_wire,
)


def sent(thing: Any) -> Any:
    """Return `thing` as another rank gets it."""
    return decode(payload_over_the_wire(encode(thing)))


def opened(column: Any) -> list[Any]:
    """Return the objects of a column of which all can be had."""
    items, failures = open_column(column)
    assert not failures
    return list(items)


# ------------------------------------------------------------ strategies

atoms = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.text(st.characters(), max_size=8)
    | st.binary(max_size=8)
)
nested = st.recursive(
    atoms,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        | inner.map(Box)
    ),
    max_leaves=8,
)
big = st.integers(OUT_OF_BAND_BYTES - 8, OUT_OF_BAND_BYTES + 8).map(
    lambda size: Box(np.arange(size).astype(np.uint8).tobytes())
)


@st.composite
def columns_with_repeats(draw: st.DrawFn) -> list[Any]:
    """Lists in which the same objects may occur again and again."""
    objects = draw(st.lists(nested | big, min_size=1, max_size=6))
    places = draw(st.lists(st.integers(0, len(objects) - 1), max_size=12))
    return [objects[place] for place in places]


@st.composite
def bounds(draw: st.DrawFn, length: int) -> tuple[int, int]:
    start = draw(st.integers(0, length))
    return start, draw(st.integers(start, length))


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


@pytest.mark.parametrize(
    "view",
    [
        memoryview(b"abcdef"),
        memoryview(bytearray(b"abcdef"))[::2],
        memoryview(b"abcdef")[::-1],
        np.arange(6.0).reshape(2, 3).data,
        memoryview(bytes(OUT_OF_BAND_BYTES)).cast("q"),
    ],
    ids=["bytes", "with gaps", "backwards", "of two dimensions", "large"],
)
def test_a_memoryview_arrives_as_its_bytes(view: memoryview) -> None:
    assert sent(view) == view.tobytes()


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


# ------------------------------------------------------------ columns


@given(st.lists(nested | big))
def test_a_column_opens_to_its_items(items: list[Any]) -> None:
    assert opened(column_over_the_wire(seal(items))) == items


@given(columns_with_repeats())
def test_a_column_with_repeats_opens_to_its_items(items: list[Any]) -> None:
    received = opened(column_over_the_wire(seal(items)))
    assert received == items


@given(st.lists(any_arrays(), max_size=4))
def test_a_column_of_arrays_opens_to_its_items(items: list[np.ndarray[Any, Any]]) -> None:
    received = opened(column_over_the_wire(seal(items)))
    for one, other in zip(received, items, strict=True):
        assert_same(one, other)


def test_plain_items_travel_as_they_are() -> None:
    for items in (range(10**9), [1, 2.0, "three", b"four", None, True, 5j], (1, 2)):
        assert seal(items) is items
    plain: Any
    for plain in ([(1, 2), [3, "four", ()]], [(((),),)], [[[[]]]]):
        assert seal(plain) is plain


class Colour(enum.IntEnum):
    RED = 1


@pytest.mark.parametrize(
    "items",
    [[Box(1)], [1, Box(2)], [(1, [Box(2)])], [{}], [{1: 2}], [Colour.RED]],
    ids=repr,
)
def test_items_that_may_fail_are_sealed_one_by_one(items: list[Any]) -> None:
    assert isinstance(seal(items), Sealed)


Named = namedtuple("Named", "x y")


def test_named_tuples_stay_so() -> None:
    received = opened(column_over_the_wire(seal([Named(1, 2), Named(3, 4)])))
    assert [type(item) for item in received] == [Named, Named]
    assert received == [(1, 2), (3, 4)]


class Counted:
    """Counts how often it is pickled."""

    times = 0

    def __reduce__(self) -> Any:
        Counted.times += 1
        return Counted, ()


@given(st.lists(st.integers(0, 3), max_size=20))
def test_an_object_that_occurs_many_times_travels_once(places: list[int]) -> None:
    objects = [Counted() for _ in range(4)]
    Counted.times = 0
    column = column_over_the_wire(seal([objects[place] for place in places]))
    assert Counted.times == len(set(places))
    received = opened(column)
    assert len(set(map(id, received))) == len(set(places))
    first = {place: received[places.index(place)] for place in places}
    assert all(first[place] is thing for place, thing in zip(places, received, strict=True))


def test_parts_of_a_column_share_an_object_that_occurs_many_times() -> None:
    box = Box(1)
    batch = batch_over_the_wire(seal_calls([box] * 6, star=False))
    parts = [batch.part(first, first + 2).open()[0] for first in (0, 2, 4)]
    assert {id(item) for part in parts for item in part} == {id(parts[0][0])}


@given(st.data(), columns_with_repeats())
def test_a_part_of_a_part_opens_to_the_right_items(data: st.DataObject, items: list[Any]) -> None:
    batch = batch_over_the_wire(seal_calls(items, star=False))
    for _ in range(3):
        start, stop = data.draw(bounds(batch.length))
        batch, items = batch.part(start, stop), items[start:stop]
        assert batch.length == len(items)
        if data.draw(st.booleans()):
            batch = batch_over_the_wire(batch.trimmed())
        if data.draw(st.booleans()):
            assert batch.open() == (items, {})
    assert batch.open() == (items, {})


def test_a_part_that_is_sent_on_leaves_behind_what_it_does_not_need() -> None:
    one, other = Box(1), Box(2)
    column = column_over_the_wire(seal([one, one, other, other, other]))
    assert isinstance(column, Sealed)
    assert len(column.entries) == 2
    assert len(column[2:5].trimmed().entries) == 1
    assert opened(column_over_the_wire(column[2:5].trimmed())) == [other] * 3


@given(st.lists(st.sampled_from(["good", "unpicklable", "ununpicklable"]), max_size=12))
def test_a_bad_item_does_not_spoil_its_neighbours(kinds: list[str]) -> None:
    make = {"good": Box, "unpicklable": lambda _: Unpicklable(), "ununpicklable": _ununpicklable}
    items = [make[kind](number) for number, kind in enumerate(kinds)]
    received, failures = open_column(column_over_the_wire(seal(items)))
    assert len(received) == len(items)
    bad = [number for number, kind in enumerate(kinds) if kind != "good"]
    assert sorted(failures) == bad
    for number, kind in enumerate(kinds):
        if kind == "good":
            assert received[number] == items[number]
        else:
            reason = "pickled" if kind == "unpicklable" else "unpickled"
            assert f"refuses to be {reason}" in str(failures[number])


def _ununpicklable(_: int) -> Ununpicklable:
    return Ununpicklable()


def test_a_bad_item_that_occurs_many_times_fails_each_time() -> None:
    bad = Ununpicklable()
    column = column_over_the_wire(seal([bad, Box(1), bad]))
    items, failures = open_column(column)
    assert items == [None, Box(1), None]
    assert sorted(failures) == [0, 2]


# ------------------------------------------------------------ batches


@given(st.lists(st.tuples(nested, nested | big, atoms)))
def test_calls_of_several_arguments_open_to_tuples(calls: list[tuple[Any, ...]]) -> None:
    batch = batch_over_the_wire(seal_calls(calls, star=True))
    assert batch.length == len(calls)
    if calls:
        assert len(batch.columns) == 3
    assert batch.open() == (calls, {})


def test_calls_without_arguments_open_to_empty_tuples() -> None:
    batch = batch_over_the_wire(seal_calls([()] * 5, star=True))
    assert batch.part(1, 4).open() == ([()] * 3, {})


def test_a_range_stays_a_range() -> None:
    batch = batch_over_the_wire(seal_calls(range(10**12), star=False).part(5, 10**9))
    items, failures = batch.open()
    assert items == range(5, 10**9)
    assert not failures


def test_a_bad_argument_is_named_by_its_position() -> None:
    calls: list[tuple[Any, ...]] = [(1, Box(1)), (2, Unpicklable()), (3, Ununpicklable())]
    items, failures = batch_over_the_wire(seal_calls(calls, star=True)).open()
    assert items[0] == (1, Box(1))
    assert sorted(failures) == [1, 2]
    assert all(str(error).startswith("argument 2: ") for error in failures.values())


def test_a_call_with_two_bad_arguments_fails_for_the_first() -> None:
    calls = [(Unpicklable(), Ununpicklable())]
    _, failures = batch_over_the_wire(seal_calls(calls, star=True)).open()
    assert str(failures[0]).startswith("argument 1: ")


def test_a_batch_is_sent_on_column_by_column() -> None:
    batch = batch_over_the_wire(seal_calls([(1, Box(1)), (2, Box(2))], star=True))
    again = batch_over_the_wire(batch.part(1, 2).trimmed())
    assert again.open() == ([(2, Box(2))], {})


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
