"""What travels between the ranks of a job, and what can't and says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.launch import launch, on_ranks

WriteProgram = Callable[..., Path]

LIMIT = 60.0


@on_ranks(2, 3)
def test_methods_go_as_they_are(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        from scoop_mpi import futures

        class Base:
            def f(self, x): return x

        class Derived(Base):
            def f(self, x): return -x
            def __hidden(self, x): return 3 * x
            def ways(self): return super().f, self.f, self.__hidden

        if __name__ == "__main__":
            items = range(1, 20_000)
            for function, factor in zip(Derived().ways(), (1, -1, 3)):
                assert list(futures.map(function, items)) == [factor * x for x in items]
                tasks = [futures.submit(function, x) for x in items]
                assert [task.result() for task in tasks] == [factor * x for x in items]
            print("done")
    """)
    assert "done" in launch(program, ranks=ranks, timeout=LIMIT).check().stdout


@on_ranks(2, 3)
def test_a_function_that_is_bound_anew_runs_on_every_rank(
    ranks: int, write_program: WriteProgram
) -> None:
    program = write_program("""
        import functools
        from scoop_mpi import futures

        MISSING = object()

        def f(x): return x

        def doubled(g):
            @functools.wraps(g)
            def wrapper(x): return 2 * g(x)
            return wrapper

        def is_missing(x): return x is MISSING

        def main():
            global f
            items = range(10_000)
            assert list(futures.map(f, items)) == list(items)
            f = doubled(f)
            assert list(futures.map(f, items)) == [2 * x for x in items]
            assert all(futures.map(lambda x: is_missing(MISSING), items))
            print("done")

        if __name__ == "__main__":
            main()
    """)
    assert "done" in launch(program, ranks=ranks, timeout=LIMIT).check().stdout


@on_ranks(2, 3)
def test_whatever_pickling_raises_fails_one_call_alone(
    ranks: int, write_program: WriteProgram
) -> None:
    program = write_program("""
        import asyncio, time
        from scoop_mpi import futures
        from scoop_mpi.errors import SerializationError

        class Odd(BaseException): pass

        KINDS = [
            asyncio.CancelledError, GeneratorExit, KeyboardInterrupt, SystemExit, Odd, KeyError
        ]

        class Rude:
            def __init__(self, kind): self.kind = kind
            def __reduce__(self): raise self.kind("on purpose")

        class RudeLater:
            def __init__(self, kind): self.kind = kind
            def __setstate__(self, state): raise state["kind"]("on purpose")

        class RudeCall:
            def __init__(self, kind): self.__dict__["kind"] = kind
            def __reduce__(self): raise self.kind("on purpose")
            def __getattr__(self, name): raise self.kind(name)
            def __call__(self, x):
                time.sleep(0.001)
                return x

        def use(thing):
            time.sleep(0.001)
            return thing

        def fails_later(kind):
            time.sleep(0.001)
            raise ValueError(RudeLater(kind))

        def outcome(task):
            try:
                return type(task.result()).__name__
            except (SerializationError, ValueError) as error:
                return type(error).__name__

        if __name__ == "__main__":
            seen = set()
            for kind in KINDS * 3:
                calls = []
                for _ in range(8):
                    calls += [(use, Rude(kind)), (use, RudeLater(kind)), (RudeCall(kind), 1)]
                    calls += [(fails_later, kind), (use, 5)]
                tasks = [futures.submit(*call) for call in calls]
                names = [outcome(task) for task in tasks]
                assert names[4::5] == ["int"] * 8, names
                seen.update(names)
            assert "SerializationError" in seen and seen <= {
                "int", "Rude", "RudeLater", "ValueError", "SerializationError"
            }, seen
            print("done")
    """)
    assert "done" in launch(program, ranks=ranks, timeout=LIMIT).check().stdout


@on_ranks(2, 3)
def test_pickling_that_waits_is_an_error_wherever_it_does(
    ranks: int, write_program: WriteProgram
) -> None:
    program = write_program("""
        import time
        from scoop_mpi import futures
        from scoop_mpi.errors import SerializationError

        class Waits:
            def __init__(self, future): self.future = future
            def __reduce__(self): return int, (self.future.result(),)

        def late():
            time.sleep(1)
            return 5

        def use(x):
            time.sleep(0.01)
            return 7

        if __name__ == "__main__":
            errors = []
            for _ in range(3):
                slow = futures.submit(late)
                deadline = time.monotonic() + 30
                while not slow.running() and time.monotonic() < deadline:
                    time.sleep(0.001)
                tasks = [futures.submit(use, Waits(slow)) for _ in range(20)]
                for task in tasks:
                    try:
                        assert task.result() == 7
                    except SerializationError as error:
                        assert "a future can't be waited for while" in str(error), error
                        errors.append(error)
                assert slow.result() == 5
            assert errors
            print("done")
    """)
    assert "done" in launch(program, ranks=ranks, timeout=LIMIT).check().stdout


@on_ranks(2, 3)
def test_a_future_where_none_can_be_is_an_error(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        import time
        from scoop_mpi import futures
        from scoop_mpi.errors import SerializationError

        class Box:
            def __init__(self, content): self.content = content

        def use(box):
            time.sleep(0.01)
            return 7

        if __name__ == "__main__":
            other = futures.submit(abs, -1)
            errors = []
            for task in [futures.submit(use, Box(other)) for _ in range(50)]:
                try:
                    assert task.result() == 7
                except SerializationError as error:
                    assert "a future can't be sent to another rank" in str(error), error
                    errors.append(error)
            assert errors
            print("done")
    """)
    assert "done" in launch(program, ranks=ranks, timeout=LIMIT).check().stdout


@on_ranks(2, 3)
def test_deaps_classes_stay_few(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        import time
        from deap import base, creator
        from scoop_mpi import futures

        SEEN = set()

        def see(individual):
            time.sleep(0.0001)
            SEEN.add(type(individual))
            return len(SEEN), individual

        def main():
            creator.create("Fitness", base.Fitness, weights=(1.0,))
            creator.create("Individual", list, fitness=creator.Fitness)
            for _ in range(3):
                population = [creator.Individual([i]) for i in range(500)]
                for seen, individual in futures.map(see, population):
                    assert seen == 1, seen
                    assert type(individual) is creator.Individual
                    assert type(individual.fitness) is creator.Fitness
            print("done")

        if __name__ == "__main__":
            main()
    """)
    assert "done" in launch(program, ranks=ranks, timeout=LIMIT).check().stdout
