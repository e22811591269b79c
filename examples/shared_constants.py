"""Shared constants: what all tasks need is sent to a rank once, not with every call.

    python -m scoop_mpi -n 4 examples/shared_constants.py

setConst gives a value a name, once and for all. Tasks that are submitted afterwards see it on every
rank. Functions can be constants too.
"""

from scoop_mpi import futures, shared


def scaled_entry(index):
    """Look up one entry of the shared table, and scale it."""
    table = shared.getConst("table")
    scale = shared.getConst("scale")
    return scale(table[index])


if __name__ == "__main__":
    squares = [number * number for number in range(10_000)]
    shared.setConst(table=squares, scale=lambda value: value / 100)

    indices = range(0, 10_000, 10)
    entries = list(futures.map(scaled_entry, indices))
    print("entries:", *entries[:5], "...", entries[-1])
    if entries != [squares[index] / 100 for index in indices]:
        raise SystemExit("the tasks saw another table")

    try:
        shared.setConst(table=[])
    except TypeError as error:
        print("a second value is refused:", error)
    else:
        raise SystemExit("a constant was set twice")
