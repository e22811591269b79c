"""Random jobs, one after the other, each with a seed and a time limit.

A job runs `program`. It fails if it gives a wrong value, hangs, writes anything to stderr, or
leaves a process behind. Of one that hangs, the stacks of all ranks are printed.

The jobs have the seeds N, N + 1, ...; without --seed some number that is printed. The MPI is that
of the Python that runs this. Before all others come those jobs that have ever failed, which the
file `failed_seeds` lists, unless a seed is given.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.launch import JobTimedOut, Run, launch, mpi_library
from tests.stress import TREES

HERE = Path(__file__).parent
PROGRAM = HERE / "program.py"
FAILED_SEEDS = HERE / "failed_seeds"
LIMIT = 120.0  # seconds for one job, which takes a few if nothing else runs
# Each third seed runs under --strict. A kind of node that holds there alone: results of calls that
# ran where they were asked for are what was returned, and not copies.
STRICT_EACH = 3
STRICT_ALONE = ("Reused",)


def run_job(seed: int, ranks: int, without: Sequence[str] = (), trees: int = TREES) -> str | None:
    """Run one job; return what went wrong, if anything did.

    Args:
        seed: of the program.
        ranks: how many.
        without: see `program.any_tree`.
        trees: how many it runs; the first of them are the same, however many there are.
    """
    is_strict = seed % STRICT_EACH == 0
    options = ("--strict",) if is_strict else ()
    left_out = without if is_strict else (*without, *STRICT_ALONE)
    try:
        run = launch(
            *options,
            PROGRAM,
            str(seed),
            f"--last={trees - 1}",
            "--without",
            *left_out,
            ranks=ranks,
            timeout=LIMIT * max(1.0, trees / TREES),
        )
    except JobTimedOut as error:
        return str(error)
    return None if is_right(run) else str(run)


def is_right(run: Run) -> bool:
    """Whether the job has ended as it should."""
    has_ended_well = run.returncode == 0 and not run.leftovers and not run.stderr
    return has_ended_well and run.stdout.endswith("all are right\n")


def failed_jobs() -> list[tuple[int, int]]:
    """Return the seeds and numbers of ranks of the jobs that have failed at some time."""
    lines = FAILED_SEEDS.read_text().splitlines()
    words = [line.split() for line in lines if line and not line.startswith("#")]
    return [(int(seed), int(ranks)) for seed, ranks, *_ in words]


def _jobs(seed: int | None, ranks: list[int]) -> Iterator[tuple[int, int]]:
    if seed is None:
        yield from failed_jobs()
        seed = random.SystemRandom().randrange(10**6)
    while True:
        yield seed, ranks[seed % len(ranks)]
        seed += 1


def main(arguments: list[str]) -> int:
    """Run jobs as the command line says; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="ci/stress", description="Run random programs, and compare them with the serial ones."
    )
    parser.add_argument("--seconds", type=float, default=60, help="begin no job after that (60)")
    parser.add_argument("--jobs", type=int, help="how many; by default as time allows")
    parser.add_argument("--seed", type=int, help="of the first job; by default any")
    parser.add_argument("--ranks", default="1,2,3,4,5,6", help="numbers of ranks (1,2,3,4,5,6)")
    parser.add_argument("--trees", type=int, default=TREES, help=f"in each job ({TREES})")
    parser.add_argument(
        "--without",
        nargs="*",
        metavar="NODE",
        default=(),
        help=f"kinds of nodes to leave out; but under --strict always: {' '.join(STRICT_ALONE)}",
    )
    asked = parser.parse_args(arguments)
    print(mpi_library()[:60])
    began = time.monotonic()
    failed = []
    for done, (seed, ranks) in enumerate(_jobs(asked.seed, list(map(int, asked.ranks.split(","))))):
        if time.monotonic() - began > asked.seconds or done == asked.jobs:
            break
        started = time.monotonic()
        problem = run_job(seed, ranks, asked.without, asked.trees)
        command = f"ci/stress --jobs 1 --seed {seed} --ranks {ranks} --trees {asked.trees}"
        seconds = time.monotonic() - started
        print(f"{command}: {'FAILED' if problem else 'right'} in {seconds:.1f} s", flush=True)
        if problem:
            failed.append(command)
            print(problem, flush=True)
    print(f"{len(failed)} of {done} jobs failed", *failed, sep="\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
