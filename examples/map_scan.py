"""Partial results: mapScan gives the running total after each item, not only the last one.

    python -m scoop_mpi -n 4 examples/map_scan.py

mapScan(mapFunc, reductionFunc, items) gives what itertools.accumulate gives: mapFunc is called on
all ranks, and reductionFunc joins the results here, one after the other from the left. So order is
kept, as the matrices show, whose product depends on it.
"""

import itertools
import operator

from scoop_mpi import futures


def gain(year):
    """The gain of an account in one year."""
    return (year * 37) % 101 - 40


def step_matrix(coefficient):
    """One step of a continued fraction, as a 2 x 2 matrix of integers."""
    return ((coefficient, 1), (1, 0))


def multiply(left, right):
    """The product of two matrices. multiply(a, b) and multiply(b, a) differ."""
    columns = list(zip(*right, strict=True))
    return tuple(tuple(sum(map(operator.mul, row, column)) for column in columns) for row in left)


if __name__ == "__main__":
    years = range(40)
    balance = futures.mapScan(gain, operator.add, years)
    print("balance:", *balance[:8], "...", balance[-1])
    if balance != list(itertools.accumulate(map(gain, years))):
        raise SystemExit("mapScan does not agree with accumulate")

    # The continued fraction of e: after each step the first column is a better fraction for it.
    coefficients = [2] + [x for k in range(1, 7) for x in (1, 2 * k, 1)]
    products = futures.mapScan(step_matrix, multiply, coefficients)
    for (numerator, _), (denominator, _) in products[::4]:
        print(f"e = {numerator}/{denominator} = {numerator / denominator:.12f}")
    if products != list(itertools.accumulate(map(step_matrix, coefficients), multiply)):
        raise SystemExit("mapScan mixed up the order")
