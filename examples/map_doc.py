"""The shortest program: the squares of a hundred numbers, computed on all ranks.

    python -m scoop_mpi -n 4 examples/map_doc.py

Every rank imports this file, and so knows `square`. Only rank 0 runs what stands under the main
guard; the others wait for tasks.
"""

from scoop_mpi import futures


def square(number):
    return number * number


if __name__ == "__main__":
    numbers = range(100)
    # Like the built-in map, and in the same order; but the calls run on whichever ranks are free.
    squares = list(futures.map(square, numbers))

    print("squares:", *squares[:10], "...")
    if squares != list(map(square, numbers)):
        raise SystemExit("futures.map does not agree with map")
