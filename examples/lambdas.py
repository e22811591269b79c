"""Any callable can be a task: lambdas, closures, methods, partials and callable objects.

    python -m scoop_mpi -n 4 examples/lambdas.py

A function at the top level of a file is sent as its name. The first two below have no name that
another rank could look up, so their code is sent, and with it the values that they use.
"""

import functools
import math

from scoop_mpi import futures


class Polynomial:
    """A polynomial with these coefficients, the constant first."""

    def __init__(self, *coefficients):
        self.coefficients = coefficients

    def __call__(self, x):
        return sum(factor * x**power for power, factor in enumerate(self.coefficients))

    def derivative(self, x):
        factors = enumerate(self.coefficients[1:], start=1)
        return sum(power * factor * x ** (power - 1) for power, factor in factors)


def power_function(exponent):
    """A function made at run time, which remembers its exponent."""

    def power(x):
        return x**exponent

    return power


if __name__ == "__main__":
    offset = 10
    polynomial = Polynomial(1, 2, 3)
    callables = {
        "lambda": lambda x: x + offset,
        "closure": power_function(3),
        "partial": functools.partial(pow, 2),
        "callable object": polynomial,
        "bound method": polynomial.derivative,
        "function written in C": math.factorial,
    }
    for name, function in callables.items():
        results = list(futures.map(function, range(5)))
        print(f"{name}:", *results)
        if results != list(map(function, range(5))):
            raise SystemExit(f"{name}: futures.map does not agree with map")
