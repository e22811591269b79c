"""A genetic algorithm with DEAP, which breeds lists of 60 bits until they are all ones.

    python -m scoop_mpi -n 4 examples/genetic_algorithm.py

DEAP does all its evaluations through the function registered as "map". With futures.map they run
on all ranks. The rest of the algorithm runs on rank 0, so that the random numbers, and with them
the result, are the same on any number of ranks.
"""

import random

from scoop_mpi import futures

try:
    from deap import algorithms, base, creator, tools
except ImportError:
    raise SystemExit("this example needs DEAP: pip install 'scoop_mpi[deap]'") from None

BITS = 60
POPULATION = 200
GENERATIONS = 40

# Not under the main guard: other ranks get individuals to evaluate, and must know their classes.
creator.create("FitnessMax", base.Fitness, weights=(1.0,))
creator.create("Individual", list, fitness=creator.FitnessMax)


def count_ones(individual):
    # DEAP expects a tuple, with one number for each objective.
    return (sum(individual),)


def make_toolbox():
    toolbox = base.Toolbox()
    toolbox.register("bit", random.randint, 0, 1)
    toolbox.register("individual", tools.initRepeat, creator.Individual, toolbox.bit, BITS)
    toolbox.register("population", tools.initRepeat, list, toolbox.individual)
    toolbox.register("evaluate", count_ones)
    toolbox.register("mate", tools.cxTwoPoint)
    toolbox.register("mutate", tools.mutFlipBit, indpb=1 / BITS)
    toolbox.register("select", tools.selTournament, tournsize=3)
    # The only line that differs from a program for one process.
    toolbox.register("map", futures.map)
    return toolbox


if __name__ == "__main__":
    random.seed(64)
    toolbox = make_toolbox()
    population, _ = algorithms.eaSimple(
        toolbox.population(n=POPULATION),
        toolbox,
        cxpb=0.5,
        mutpb=0.2,
        ngen=GENERATIONS,
        verbose=False,
    )
    best = tools.selBest(population, 1)[0]

    print(f"best individual: {sum(best)} ones of {BITS}")
    if best.fitness.values != count_ones(best):
        raise SystemExit("its fitness is not what was evaluated")
    if sum(best) < BITS - 2:
        raise SystemExit("evolution did not get there")
