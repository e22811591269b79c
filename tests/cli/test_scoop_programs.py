"""Programs written for SCOOP run as they are: they import `scoop`, and mean scoop_mpi.

Each shows one of the uses that SCOOP's manual describes.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.launch import launch, on_ranks

WriteProgram = Callable[..., Path]

HELLO = """
    from __future__ import print_function
    from scoop import futures

    def greet(number):
        return "Hello from task {0}".format(number)

    if __name__ == "__main__":
        print("\\n".join(futures.map(greet, range(4))))
"""
HELLO_PRINTS = "Hello from task 0\nHello from task 1\nHello from task 2\nHello from task 3\n"

PI = """
    from math import hypot
    from random import Random
    from scoop import futures

    def hits(tries, seed):
        rng = Random(seed)
        return sum(hypot(rng.random(), rng.random()) < 1 for _ in range(tries))

    def estimate(batches, tries):
        found = futures.map(hits, [tries] * batches, range(batches))
        return 4.0 * sum(found) / (batches * tries)

    if __name__ == "__main__":
        print(abs(estimate(60, 300) - 3.14159) < 0.1)
"""

AS_COMPLETED = """
    import time
    import scoop.futures

    def nap(x):
        time.sleep(0.001 * (x % 3))
        return x

    if __name__ == "__main__":
        print(sorted(scoop.futures.map_as_completed(nap, range(12))))
"""

REDUCE = """
    import operator
    from scoop import futures

    def add(x, y):
        return x + y

    if __name__ == "__main__":
        numbers = range(-500, 500)
        print(futures.mapReduce(abs, operator.add, numbers) == sum(map(abs, numbers)))
        print(futures.mapScan(abs, add, range(-3, 3)))
"""

TREE = """
    from scoop import futures

    def leaves(depth):
        if depth == 0:
            return 1
        left = futures.submit(leaves, depth - 1)
        right = futures.submit(leaves, depth - 1)
        done, not_done = futures.wait([left, right], return_when=futures.ALL_COMPLETED)
        assert not not_done
        return sum(future.result() for future in futures.as_completed(list(done)))

    if __name__ == "__main__":
        print(leaves(7))
"""

SHARED = """
    from scoop import futures, shared

    class Table:
        def look_up(self, key):
            return {1: "one"}.get(key, "many")

    def search(number):
        if number == 17:
            shared.setConst(found=number)
        return shared.getConst("offset") + number

    if __name__ == "__main__":
        shared.setConst(offset=1000)
        print(sum(futures.map(search, range(50))), shared.getConst("found", timeout=10))
        name = shared.SharedElementEncapsulation(Table().look_up)
        print(list(futures.map(name, [1, 2])))
"""

CALLBACK = """
    from scoop import futures

    def square(x):
        return x * x

    if __name__ == "__main__":
        results = []
        fs = [futures.submit(square, x) for x in range(5)]
        for future in fs:
            future.add_done_callback(lambda future: results.append(future.result()))
        futures.wait(fs, return_when=futures.ALL_COMPLETED)
        print(all(future.done() and not future.cancelled() for future in fs))
        print([future.exception() for future in fs] == [None] * 5, sorted(results))
        futures.shutdown()
"""

CONSTANTS = """
    import scoop
    from scoop import futures

    # Not a function of SCOOP's but of its worker: where am I?
    def where(_):
        scoop.logger.info("a task runs here")
        return scoop.worker[0], scoop.IS_ORIGIN == (scoop.worker[0] == 0)

    if __name__ == "__main__":
        found = set(futures.map(where, range(200)))
        print(all(is_right for _, is_right in found), len(found) <= scoop.SIZE)
        print(scoop.IS_RUNNING, scoop.IS_ORIGIN, scoop.DEBUG, scoop.MAIN_MODULE)
        print(len(set(futures.map(lambda _: scoop.SIZE, range(200)))))  # a closure takes it along
"""

NUMPY = """
    import numpy as np
    from scoop import futures

    def rss(signal, model):
        return float(((signal - model) ** 2).sum())

    if __name__ == "__main__":
        signals = [np.arange(1000.0) + shift for shift in range(8)]
        print([value / 1000 for value in futures.map(rss, signals, [np.arange(1000.0)] * 8)])
"""

DEAP = """
    import random
    from deap import algorithms, base, creator, tools
    from scoop import futures

    creator.create("Most", base.Fitness, weights=(1.0,))
    creator.create("Individual", list, fitness=creator.Most)

    def count_ones(individual):
        return (sum(individual),)

    toolbox = base.Toolbox()
    toolbox.register("bit", random.randint, 0, 1)
    toolbox.register("individual", tools.initRepeat, creator.Individual, toolbox.bit, n=20)
    toolbox.register("population", tools.initRepeat, list, toolbox.individual)
    toolbox.register("evaluate", count_ones)
    toolbox.register("mate", tools.cxTwoPoint)
    toolbox.register("mutate", tools.mutFlipBit, indpb=0.05)
    toolbox.register("select", tools.selTournament, tournsize=3)
    toolbox.register("map", futures.map)

    if __name__ == "__main__":
        random.seed(1)
        population = toolbox.population(n=60)
        best = tools.HallOfFame(1)
        algorithms.eaSimple(population, toolbox, 0.5, 0.2, 25, halloffame=best, verbose=False)
        print(best[0].fitness.values[0] >= 18)
"""

PROGRAMS = {
    "hello": (HELLO, HELLO_PRINTS),
    "pi": (PI, "True\n"),
    "map_as_completed": (AS_COMPLETED, f"{list(range(12))}\n"),
    "mapReduce": (REDUCE, "True\n[3, 5, 6, 6, 7, 9]\n"),
    "tree": (TREE, "128\n"),
    "shared": (SHARED, "51225 17\n['one', 'many']\n"),
    "callback": (CALLBACK, "True\nTrue [0, 1, 4, 9, 16]\n"),
    "constants": (CONSTANTS, "True True\nTrue True False __main__\n1\n"),
    "numpy": (NUMPY, "[0.0, 1.0, 4.0, 9.0, 16.0, 25.0, 36.0, 49.0]\n"),
    "deap": (DEAP, "True\n"),
}


@on_ranks(1, 3)
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_for_scoop_runs_as_it_is(
    name: str, ranks: int, write_program: WriteProgram
) -> None:
    if name == "deap" and importlib.util.find_spec("deap") is None:
        pytest.skip("DEAP is not installed")
    source, prints = PROGRAMS[name]
    assert launch(write_program(source), ranks=ranks).check().stdout == prints


def test_scoops_own_command_line(write_program: WriteProgram, tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("localhost 4\n")
    program = write_program(HELLO)
    options = ("--hostfile", tmp_path / "hosts", "-n", "2", "--nice", "19", "--pythonpath", "/opt")
    run = launch(*options, program, "an argument", ranks=None).check()
    assert run.stdout == HELLO_PRINTS


@on_ranks(1, 2)
def test_an_installed_scoop_is_used_only_if_told(ranks: int, tmp_path: Path) -> None:
    installed = tmp_path / "scoop"
    installed.mkdir()
    (installed / "__init__.py").write_text("NAME = 'installed'\n")
    program = tmp_path / "program.py"
    program.write_text(
        "import scoop\n\nif __name__ == '__main__':\n    print(getattr(scoop, 'NAME', 'ours'))\n"
    )
    search = ("--pythonpath", tmp_path)
    assert launch(*search, program, ranks=ranks).check().stdout == "ours\n"
    run = launch(*search, "--no-scoop-alias", program, ranks=ranks).check()
    assert run.stdout == "installed\n"
