"""Programs for mpi4py.futures, by --mpi4py-alias."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.launch import launch, on_ranks

WriteProgram = Callable[..., Path]

PROGRAM = """
    import warnings
    import mpi4py
    from mpi4py import MPI
    from mpi4py import futures
    from mpi4py.futures import (
        BrokenExecutor, CancelledError, Future, MPICommExecutor, MPIPoolExecutor, as_completed,
        collect, compose, get_comm_workers, wait,
    )

    def square(x):
        return x * x

    def fail(x):
        raise ValueError(x)

    def main():
        assert futures is mpi4py.futures and futures.MPIPoolExecutor is MPIPoolExecutor
        with MPIPoolExecutor(max_workers=3) as executor:
            assert list(executor.map(square, range(20), chunksize=5)) == [x * x for x in range(20)]
            assert sorted(executor.map(square, range(20), unordered=True)) == [
                x * x for x in range(20)
            ]
            assert list(executor.starmap(pow, [(2, 3), (3, 2)])) == [8, 9]
            executor.bootup()
            calls = [executor.submit(square, x) for x in range(5)]
            assert {call.result() for call in as_completed(calls)} == {0, 1, 4, 9, 16}
            assert collect(calls).result() == [0, 1, 4, 9, 16]
            assert collect([]).result() == []
            assert isinstance(collect([calls[0], executor.submit(fail, 1)]).exception(), ValueError)
            gone = Future()
            together = collect([calls[0], gone])
            assert gone.cancel() and together.cancelled()
            first = Future()
            second = collect([first])
            assert second.cancel() and first.cancelled()

            assert compose(calls[2], lambda value: value + 1).result() == 5
            assert compose(calls[2]).result() == 4
            assert isinstance(compose(calls[2], fail).exception(), ValueError)
            failed = executor.submit(fail, 7)
            assert compose(failed, excepthook=lambda error: error.args[0]).result() == 7
            assert isinstance(compose(failed, excepthook=KeyError).exception(), KeyError)
            assert isinstance(compose(failed).exception(), ValueError)
            first = Future()
            second = compose(first)
            assert second.cancel() and first.cancelled()
            assert compose(first).cancelled()

        with MPICommExecutor(MPI.COMM_WORLD, root=0) as executor:
            assert executor is not None
            assert executor.submit(square, 4).result() == 16
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            MPIPoolExecutor(2, path=["somewhere"], env={}).shutdown()
        assert "env, path without effect" in str(told[0].message), told
        for wrong in (lambda: MPIPoolExecutor(colour="red"), get_comm_workers):
            try:
                wrong()
            except (TypeError, RuntimeError) as error:
                print(error)

    if __name__ == "__main__":
        main()
"""


@on_ranks(1, 3)
def test_a_program_for_mpi4py_runs_unmodified(ranks: int, write_program: WriteProgram) -> None:
    run = launch("--mpi4py-alias", write_program(PROGRAM), ranks=ranks).check()
    assert run.stdout == (
        "MPIPoolExecutor() knows nothing of colour\n"
        "get_comm_workers() gives none under scoop_mpi: its ranks don't make one call together\n"
    )


@on_ranks(2)
def test_without_the_option_it_is_mpi4pys_own(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        from mpi4py import futures

        if __name__ == "__main__":
            print(futures.MPIPoolExecutor.__module__.partition(".")[0])
    """)
    assert launch(program, ranks=ranks).check().stdout == "mpi4py\n"
