"""Random numbers: the same on any number of ranks, bit for bit.

    python -m scoop_mpi -n 4 examples/random_numbers.py [seed]

Each call has a generator of its own, made from a child of one seed. So it makes no difference which
rank makes which call. Tasks that start tasks give these children of their own seed.
"""

import sys

import numpy as np

from scoop_mpi import futures

WALKS = 400
STEPS = 2_000
FAMILIES = 60
GENERATIONS = 9


def walk(seed):
    """Take steps in random directions; return how far from the start that leads."""
    random = np.random.default_rng(seed)
    steps = 2 * random.integers(0, 2, size=(STEPS, 2)) - 1
    x, y = steps.sum(axis=0)
    return float(np.sqrt(x * x + y * y))


def family(seed, generations):
    """Return how many descendants somebody has, in so many generations: 1 child on the average."""
    own, *others = seed.spawn(3)
    children = int(np.random.default_rng(own).integers(3))
    if generations == 1:
        return children
    tasks = [futures.submit(family, other, generations - 1) for other in others[:children]]
    return children + sum(task.result() for task in tasks)


if __name__ == "__main__":
    seed = np.random.SeedSequence(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
    print("seed", seed.entropy)  # who has it can repeat the run

    seeds = seed.spawn(WALKS)
    mean = sum(futures.map(walk, seeds)) / WALKS
    print(f"mean distance of {WALKS} walks: {mean:.3f} = {mean.hex()}")
    if mean != sum(map(walk, seeds)) / WALKS:
        raise SystemExit("a plain loop gives another mean")

    # In the mean there are as many in each generation as at the beginning.
    sizes = list(futures.map(family, seed.spawn(FAMILIES), [GENERATIONS] * FAMILIES))
    print(f"descendants in {FAMILIES} families: {sum(sizes)}, at most {max(sizes)} in one")
    if sizes.count(0) == FAMILIES:
        raise SystemExit("nobody has any descendants")
