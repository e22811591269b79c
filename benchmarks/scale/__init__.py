"""Jobs of thousands of ranks, simulated: how well the matchmaking scales, and what limits it.

    costs       what each step of a rank takes, and how to measure it
    rhythms     when a rank that idles or computes looks for messages, from the real idle and pump
    loads       the programs: tasks of a given length that may start others
    machine     virtual time, the network, and one simulated rank for each real `Runtime`
    study       the runs, the table and the plot

`python -m benchmarks.scale --help` says how to run it; docs/scale.md what came out.
"""
