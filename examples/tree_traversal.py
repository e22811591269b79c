"""Walk an irregular tree: some branches are long, some short, and nobody knows which beforehand.

    python -m scoop_mpi -n 4 examples/tree_traversal.py

The tree is a shared constant, so that a task is sent only the number of its node. Each task visits
a node and maps itself over the children. Ranks that run out of work take over branches of others.
"""

import random

from scoop_mpi import futures, shared

NODES = 3000


def grow_tree(nodes):
    """A random tree: for each node the list of its children. Node 0 is the root."""
    source = random.Random(2)
    children = [[] for _ in range(nodes)]
    for node in range(1, nodes):
        # Mostly a recent node becomes the parent, which makes some long branches.
        parent = max(source.randrange(node), source.randrange(node))
        children[parent].append(node)
    return children


def visit(node):
    """Some work at one node: the number of steps of the Collatz sequence from there to 1."""
    value = node + 1
    steps = 0
    while value != 1:
        value = 3 * value + 1 if value % 2 else value // 2
        steps += 1
    return steps


def traverse(node):
    """Return the number of nodes below and at this one, and their sum of steps."""
    children = shared.getConst("children")[node]
    nodes, steps = 1, visit(node)
    for nodes_below, steps_below in futures.map(traverse, children):
        nodes += nodes_below
        steps += steps_below
    return nodes, steps


if __name__ == "__main__":
    shared.setConst(children=grow_tree(NODES))
    nodes, steps = futures.submit(traverse, 0).result()

    print(f"visited {nodes} nodes, {steps} steps")
    if (nodes, steps) != (NODES, sum(map(visit, range(NODES)))):
        raise SystemExit("some nodes were missed or visited twice")
