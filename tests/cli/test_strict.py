"""--strict: calls that stay on their rank get and return copies, as those that go elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.launch import launch, on_ranks

WriteProgram = Callable[..., Path]

WAYS = {
    "map": "list(futures.map(F, ITEMS))",
    "submit": "[f.result() for f in [futures.submit(F, x) for x in ITEMS]]",
    "one by one": "[futures.submit(F, x).result() for x in ITEMS]",
    "keyword": "[futures.submit(F, x=x).result() for x in ITEMS]",
    "as completed": "sorted(futures.map_as_completed(F, ITEMS))",
    "nested": "futures.submit(all_of, F, ITEMS).result()",
    "thread": "ThreadPoolExecutor(1).submit(lambda: list(futures.map(F, ITEMS))).result()",
}

DEFINITIONS = """
    import threading
    from concurrent.futures import ThreadPoolExecutor
    from scoop_mpi import futures

    def all_of(f, items):
        return list(futures.map(f, items))

    SCRATCH = [0]

    def fill(x):
        SCRATCH[0] = x
        return SCRATCH

    def spoil(x):
        x.append(1)
        return len(x)

    def is_itself(x):
        return x is SHARED

    class Shared:
        pass

    SHARED = None

    class Refusing:
        def __reduce__(self):
            raise TypeError("it is not to travel")

    def make_refusing(x):
        return Refusing()

    def take(x):
        return 1

    def fail(x):
        raise ValueError(x)

    def text_of(call):
        try:
            return repr(call())
        except Exception as error:
            return f"{type(error).__name__}: {error}"
"""


def use(way: str, function: str, items: str) -> str:
    """Return an expression that calls a function of each of some items."""
    return WAYS[way].replace("F", function).replace("ITEMS", items)


@on_ranks(1, 2, 3)
@pytest.mark.parametrize("way", WAYS)
def test_results_and_arguments_are_copies(
    way: str, ranks: int, write_program: WriteProgram
) -> None:
    program = write_program(
        DEFINITIONS
        + f"""
    if __name__ == "__main__":
        assert {use(way, "fill", "range(30)")} == [[x] for x in range(30)]
        lists = [[x] for x in range(30)]
        assert {use(way, "spoil", "lists")} == [2] * 30
        assert lists == [[x] for x in range(30)]
        SHARED = Shared()
        assert not any({use(way, "is_itself", "[SHARED] * 9")})
        print("right")
    """
    )
    run = launch("--strict", program, ranks=ranks).check()
    assert run.stdout == "right\n"


@on_ranks(1, 2)
@pytest.mark.parametrize("way", [way for way in WAYS if way != "as completed"])
def test_what_cannot_travel_is_an_error_everywhere(
    way: str, ranks: int, write_program: WriteProgram
) -> None:
    program = write_program(
        DEFINITIONS
        + f"""
    if __name__ == "__main__":
        print(text_of(lambda: {use(way, "take", "[Refusing()]")}))
        print(text_of(lambda: {use(way, "make_refusing", "[1]")}))
        print(text_of(lambda: {use(way, "fail", "[7]")}))
        lock = threading.Lock()
        print(text_of(lambda: {use(way, "lambda x: lock", "[1]")}))
    """
    )
    run = launch("--strict", program, ranks=ranks).check()
    lines = run.stdout.splitlines()
    assert "it is not to travel" in lines[0]
    assert "it is not to travel" in lines[1]
    assert lines[2] == "ValueError: 7"
    assert "lock" in lines[3]
    assert [line.partition(":")[0] for line in lines] == [
        "SerializationError",
        "SerializationError",
        "ValueError",
        "SerializationError",
    ]


@on_ranks(1, 2)
def test_reductions_are_right(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        import operator
        from scoop_mpi import futures, shared

        def box(x):
            return [x]

        def join(left, right):
            left += right  # of its own copies, it may
            return left

        class Table:
            def __init__(self):
                self.offset = 3

            def look_up(self, x):
                return x + self.offset

        if __name__ == "__main__":
            assert futures.mapReduce(box, join, range(50)) == list(range(50))
            assert futures.mapScan(abs, operator.add, [1, -2, 3]) == [1, 3, 6]
            assert list(futures.map(Table().look_up, range(5))) == [3, 4, 5, 6, 7]
            element = shared.SharedElementEncapsulation(Table().look_up)
            assert list(futures.map(element, range(5))) == [3, 4, 5, 6, 7]
            seen = []
            future = futures.submit(abs, -4)
            future.add_done_callback(lambda f: seen.append(f.result()))
            assert future.result() == 4 and seen == [4]
            print("right")
    """)
    assert launch("--strict", program, ranks=ranks).check().stdout == "right\n"


@on_ranks(1, 3)
@pytest.mark.parametrize("options", [(), ("--strict",)], ids=["plain", "strict"])
def test_shared_elements_go_all_the_same(
    options: tuple[str, ...], ranks: int, write_program: WriteProgram
) -> None:
    program = write_program("""
        import time
        from scoop_mpi import futures, shared

        def use(element, x):
            return element(x)

        def itself(x):
            return x

        def element_of(n):
            return shared.SharedElementEncapsulation(lambda x: x + n)

        def within(n):
            element = element_of(n)
            return sum(futures.map(element, range(10))) + futures.submit(element, 1).result()

        def fails(element):
            raise ValueError(element(1))

        WAYS = {
            "map": lambda e: list(futures.map(e, range(10))),
            "submit": lambda e: futures.submit(e, 1).result(),
            "argument": lambda e: futures.submit(use, e, 1).result(),
            "arguments": lambda e: list(futures.map(use, [e] * 9, range(9))),
            "result": lambda e: futures.submit(itself, e).result()(1),
            "reduction": lambda e: futures.mapReduce(e, int.__add__, range(9)),
            "a map that is left": lambda e: next(futures.map(e, range(100))),
            "error": lambda e: repr(futures.submit(fails, e).exception()),
            "nested": lambda e: list(futures.map(within, range(9))),
        }

        if __name__ == "__main__":
            for way, act in WAYS.items():
                act(element_of(1))
                deadline = time.monotonic() + 30
                while shared.elements and time.monotonic() < deadline:
                    list(futures.map(itself, range(20)))
                assert not shared.elements, way
            print("all are gone")
    """)
    run = launch(*options, program, ranks=ranks).check()
    assert run.stdout == "all are gone\n"
