"""Memory that is lacking: in the user's lines a call fails, in ours the job ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.launch import launch, on_ranks

WriteProgram = Callable[..., Path]

LIMIT = 60.0


@on_ranks(1, 2, 3)
def test_what_the_user_has_no_memory_for_fails_alone(
    ranks: int, write_program: WriteProgram
) -> None:
    program = write_program("""
        import traceback
        from scoop_mpi import futures

        TOO_MUCH = 2**60  # bytes, which no machine has

        class Sealed:  # there is no memory to pickle it
            def __reduce__(self):
                return Sealed, (bytearray(TOO_MUCH),)

        class Opened:  # or to unpickle it
            def __reduce__(self):
                return bytearray, (TOO_MUCH,)

        def allocate(n):
            return len(bytearray(n))

        def give(kind):
            return kind()

        def take(thing):
            return "taken"

        def is_out_of_memory(error):
            return "MemoryError" in "".join(traceback.format_exception(error))

        def check():
            sizes = [TOO_MUCH if i % 50 == 7 else i for i in range(300)]
            fs = [futures.submit(allocate, size) for size in sizes]
            for size, future in zip(sizes, fs):
                if size == TOO_MUCH:
                    assert isinstance(future.exception(), MemoryError), future.exception()
                else:
                    assert future.result() == size
            for kind in (Sealed, Opened):
                # Where a call stays on its rank, nothing is pickled.
                fs = [futures.submit(give, kind) for _ in range(50)]
                fs += [futures.submit(take, kind()) for _ in range(50)]
                for error in [future.exception() for future in fs]:
                    assert error is None or is_out_of_memory(error), error
            try:
                list(futures.map(allocate, sizes))
            except MemoryError:
                pass
            else:
                raise AssertionError("the map should have failed")
            assert futures.mapReduce(allocate, int.__add__, range(300)) == sum(range(300))

        if __name__ == "__main__":
            check()
            futures.submit(check).result()
            print("all right")
    """)
    assert launch(program, ranks=ranks, timeout=LIMIT).check().stdout == "all right\n"


@on_ranks(2, 3)
@pytest.mark.parametrize("victim", [0, 1])
@pytest.mark.parametrize("message", [1, 5, 30])
@pytest.mark.parametrize("is_caught", [False, True], ids=["", "caught"])
def test_a_rank_without_memory_for_its_own_state_ends_the_job(
    ranks: int, victim: int, message: int, is_caught: bool, write_program: WriteProgram
) -> None:
    """Half of a change may have been made: nothing that goes on from there can be relied on."""
    program = write_program(f"""
        import scoop_mpi
        from scoop_mpi import futures
        from scoop_mpi.engine.runtime import Runtime

        take_in = Runtime._take_in
        seen = 0

        def take_in_unless_full(self, received):
            global seen
            seen += 1
            if seen == {message}:
                raise MemoryError
            return take_in(self, received)

        if scoop_mpi.worker[0] == {victim}:
            Runtime._take_in = take_in_unless_full

        def leaf(x):
            return sum(range(20_000)) + x

        def branch(x):
            return sum(futures.map(leaf, range(x, x + 20)))

        if __name__ == "__main__":
            while True:
                try:
                    list(futures.map(branch, range(50)))
                    futures.submit(branch, 1).result()
                except BaseException:
                    if not {is_caught}:
                        raise
    """)
    run = launch(program, ranks=ranks, timeout=LIMIT).check(status=None)
    assert "MemoryError" in run.stderr
