"""Tasks that spawn tasks: each splits in two, until there are 4096 leaves to count.

    python -m scoop_mpi -n 4 examples/nested_tree.py [depth]

A task may submit others and wait for them as the main program does. The rank that waits runs other
tasks meanwhile, so that no number of waiting tasks uses up the ranks.
"""

import sys

from scoop_mpi import futures


def count_leaves(depth):
    """Count the leaves of a binary tree of this depth, each branch in a task of its own."""
    if depth == 0:
        return 1
    return sum(futures.map(count_leaves, [depth - 1] * 2))


if __name__ == "__main__":
    depth = int(sys.argv[1]) if len(sys.argv) > 1 else 12
    leaves = count_leaves(depth)

    print(f"a tree of depth {depth} has {leaves} leaves")
    if leaves != 2**depth:
        raise SystemExit(f"it should have {2**depth}")
