"""Which hosts a job is to run on, and how many ranks on each.

From SCOOP's host lists (`--host`, `--hostfile`), or from the environment of a scheduler's job. Pure
functions of texts: who reads files and the environment is `start`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from scoop_mpi.errors import StartError

# A host and its number of ranks, as SCOOP writes it now ("host 4") and once did ("host workers=4"),
# and as the host files of Open MPI ("host slots=4") and MPICH ("host:4") have it.
_LINE = re.compile(
    r"(?P<name>[^\s:=,;\[\]]+)((\s+((workers|slots)\s*=\s*)?|:)(?P<ranks>[1-9]\d*))?"
)
# Slurm abbreviates: "4(x3),2" is 4, 4, 4, 2.
_SLURM_COUNT = re.compile(r"(\d+)(?:\(x(\d+)\))?")


class Host(NamedTuple):
    """A host, and how many ranks are to run on it."""

    name: str
    ranks: int


class Allocation(NamedTuple):
    """What a scheduler has given to the job in which this process runs.

    Attributes:
        scheduler: its name.
        ranks: for how many ranks there is room.
        hosts: where. Empty for Slurm: every MPI asks Slurm itself.
    """

    scheduler: str
    ranks: int
    hosts: tuple[Host, ...]


def from_names(names: Iterable[str]) -> list[Host]:
    """Return the hosts of ``--host a a b``: a rank for each time that a host is named."""
    return [Host(name, ranks) for name, ranks in Counter(names).items()]


def from_file(text: str, name: str, default_ranks: int) -> list[Host]:
    """Return the hosts of a host file.

    Args:
        text: what the file holds: a host in each line, and how many ranks. ``#`` begins a comment.
        name: the file's name, for errors.
        default_ranks: how many ranks for a host without a number.

    Raises:
        StartError: a line can't be understood, or there is no host.
    """
    ranks: Counter[str] = Counter()
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].strip()
        if not words:
            continue
        match = _LINE.fullmatch(words)
        if match is None:
            raise StartError(
                f"{name}, line {number}: can't understand {words!r}. A line is a host and how many "
                "ranks it gets, as in: node1 4"
            )
        ranks[match["name"]] += int(match["ranks"] or default_ranks)
    if not ranks:
        raise StartError(f"{name} names no host")
    return [Host(*item) for item in ranks.items()]


def share(hosts: Sequence[Host], ranks: int) -> list[Host]:
    """Share out `ranks` to hosts as SCOOP's ``-n`` does.

    Fewer than the hosts have room for fill them in order. More are dealt out one by one, a further
    one to each host in turn.
    """
    shares: list[Host] = []
    for host in hosts:
        share = min(host.ranks, ranks)
        ranks -= share
        shares.append(Host(host.name, share))
    extra, rest = divmod(ranks, len(shares))
    dealt = (
        Host(host.name, host.ranks + extra + (place < rest)) for place, host in enumerate(shares)
    )
    return [host for host in dealt if host.ranks]


def allocation(environment: Mapping[str, str], node_file: str = "") -> Allocation | None:
    """Return what the scheduler has given to the job in which this process runs.

    Args:
        environment: the process's environment variables.
        node_file: what the file ``$PBS_NODEFILE`` or ``$PE_HOSTFILE`` holds.

    Returns:
        None outside a scheduler's job.
    """
    if "SLURM_JOB_ID" in environment:
        return Allocation("Slurm", _slurm_ranks(environment), ())
    lines = [line.split() for line in node_file.splitlines() if line.strip()]
    if "PBS_NODEFILE" in environment:  # a line for each rank
        return _of_hosts("PBS", [Host(line[0], 1) for line in lines])
    if "PE_HOSTFILE" in environment:  # a host, its slots, and more; a host may come once per queue
        return _of_hosts("Grid Engine", [Host(line[0], int(line[1])) for line in lines])
    if "LSB_MCPU_HOSTS" in environment:  # a host, its slots, the next host, its slots
        words = environment["LSB_MCPU_HOSTS"].split()
        slots = map(int, words[1::2])
        return _of_hosts("LSF", [Host(*pair) for pair in zip(words[::2], slots, strict=True)])
    return None


def _of_hosts(scheduler: str, found: Iterable[Host]) -> Allocation:
    ranks: Counter[str] = Counter()
    for host in found:
        ranks[host.name] += host.ranks
    hosts = tuple(Host(*item) for item in ranks.items())
    return Allocation(scheduler, max(1, ranks.total()), hosts)


def _slurm_ranks(environment: Mapping[str, str]) -> int:
    tasks = environment.get("SLURM_NTASKS", "")
    if tasks.isdecimal():
        return int(tasks)
    counts = _SLURM_COUNT.findall(environment.get("SLURM_TASKS_PER_NODE", ""))
    return sum(int(tasks) * int(nodes or 1) for tasks, nodes in counts) or 1
