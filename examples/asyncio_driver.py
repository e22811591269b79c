"""A driver in asyncio: a few calls at a time, and what to compute next depends on what came back.

    python -m scoop_mpi -n 4 examples/asyncio_driver.py

It packs a knapsack by branch and bound. A coroutine keeps some calls in flight. Whenever one is
done, it takes the most promising of the cases that are left, and has that computed. It never waits
for a whole batch, and may do other things meanwhile.
"""

import asyncio
import random

from scoop_mpi import futures

AT_A_TIME = 8  # calls: so that each rank has one, and another to go on with
CAPACITY = 611


def make_items(count):
    """Return weights and values, those of the greatest value for their weight first."""
    numbers = random.Random(3)
    weights = [numbers.randint(10, 60) for _ in range(count)]
    items = [(weight, weight + numbers.randint(9, 11)) for weight in weights]
    return sorted(items, key=lambda item: item[1] / item[0], reverse=True)


ITEMS = make_items(36)


def look_into(case):
    """Pack greedily what a case leaves open.

    A case says of some items whether they are taken. Return the value, a bound on the value of all
    packings of this case, and the item that would have to be cut into pieces to reach the bound.
    """
    left = CAPACITY - sum(ITEMS[item][0] for item, is_taken in case.items() if is_taken)
    if left < 0:
        return 0, 0, None
    value = sum(ITEMS[item][1] for item, is_taken in case.items() if is_taken)
    bound, cut = value, None
    for item, (weight, worth) in enumerate(ITEMS):
        if item in case:
            continue
        if weight <= left:
            left -= weight
            value += worth
            bound += worth if cut is None else 0
        elif cut is None:
            bound += worth * left // weight
            cut = item
    return value, bound, cut


async def search():
    """Return the greatest value that fits into the knapsack."""
    best = 0
    waiting = [(float("inf"), {})]  # cases, and bounds on what is to be had there
    running = {}  # the case of each call in flight
    while waiting or running:
        waiting = sorted((each for each in waiting if each[0] > best), key=lambda each: each[0])
        while waiting and len(running) < AT_A_TIME:
            _, case = waiting.pop()
            running[asyncio.ensure_future(futures.submit(look_into, case))] = case
        if running:
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for call in done:
                case = running.pop(call)
                value, bound, cut = call.result()
                best = max(best, value)
                if cut is not None:
                    waiting += [(bound, {**case, cut: is_taken}) for is_taken in (False, True)]
    return best


def pack_all():
    """Return the same, by going over all items and all capacities."""
    best = [0] * (CAPACITY + 1)
    for weight, worth in ITEMS:
        for capacity in range(CAPACITY, weight - 1, -1):
            best[capacity] = max(best[capacity], best[capacity - weight] + worth)
    return best[CAPACITY]


if __name__ == "__main__":
    found = asyncio.run(search())
    print(f"the best of 2 ** {len(ITEMS)} ways to pack {CAPACITY} kg is worth {found}")
    if found != pack_all():
        raise SystemExit(f"the best is worth {pack_all()}")
