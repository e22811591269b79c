"""Which hosts a job is to run on, and how many ranks on each.

From SCOOP's host lists (`--host`, `--hostfile`), or from the environment of a scheduler's job. Pure
functions of texts: who reads files and the environment is `start`.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from scoop_mpi.errors import StartError

# A host and its number of ranks, as SCOOP writes it now ("host 4") and once did ("host workers=4"),
# and as the host files of Open MPI ("host slots=4 max_slots=8") and MPICH ("host:4") have it.
_NAME = re.compile(r"(?P<name>[^\s:=,;\[\]]+)(:(?P<ranks>[1-9]\d*))?")
_NUMBER = re.compile(r"[1-9]\d*")
_SETTING = re.compile(r"(?P<key>[a-z_-]+)=(?P<value>[1-9]\d*)")
_RANKS = ("workers", "slots", "count", "cpu")
_MOST = ("max_slots", "max-slots", "slots_max", "slots-max")
# Slurm abbreviates: "4(x3),2" is 4, 4, 4, 2.
_SLURM_COUNT = re.compile(r"(\d+)(?:\(x(\d+)\))?")


class Host(NamedTuple):
    """A host, and how many ranks are to run on it.

    Attributes:
        name: the host's.
        ranks: how many.
        most: how many there may be; None: any number.
    """

    name: str
    ranks: int
    most: int | None = None


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
        text: what the file holds: a host in each line, how many ranks, and how many at most. ``#``
            begins a comment.
        name: the file's name, for errors.
        default_ranks: how many ranks for a host without a number.

    Raises:
        StartError: a line can't be understood, or there is no host.
    """
    found: dict[str, Host] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].strip()
        if not words:
            continue
        host = _host(words, default_ranks)
        if host is None:
            raise StartError(
                f"{name}, line {number}: can't understand {words!r}. A line is a host and how many "
                "ranks it gets, as in: node1 4"
            )
        found[host.name] = _together(found.get(host.name), host)
    if not found:
        raise StartError(f"{name} names no host")
    return list(found.values())


def _host(line: str, default_ranks: int) -> Host | None:
    """Return the host of a line; None if it can't be understood."""
    first, *others = re.sub(r"\s*=\s*", "=", line).split()
    match = _NAME.fullmatch(first)
    if match is None:
        return None
    ranks = [int(match["ranks"])] if match["ranks"] else []
    most: list[int] = []
    if len(others) == 1 and _NUMBER.fullmatch(others[0]):
        ranks.append(int(others.pop()))
    for word in others:
        setting = _SETTING.fullmatch(word)
        if setting is None or setting["key"] not in (*_RANKS, *_MOST):
            return None
        (most if setting["key"] in _MOST else ranks).append(int(setting["value"]))
    if len(ranks) > 1 or len(most) > 1:
        return None  # said twice
    if not ranks:
        ranks = [min([default_ranks, *most])]
    return None if most and most < ranks else Host(match["name"], ranks[0], *most)


def _together(one: Host | None, other: Host) -> Host:
    """Return a host that is named twice as one."""
    if one is None:
        return other
    are_bounded = one.most is not None and other.most is not None
    most = (one.most or 0) + (other.most or 0) if are_bounded else None
    return Host(one.name, one.ranks + other.ranks, most)


def share(hosts: Sequence[Host], ranks: int) -> list[Host]:
    """Share out `ranks` to hosts as SCOOP's ``-n`` does.

    Fewer than the hosts have room for fill them in order. More are dealt out one by one, a further
    one to each host in turn.

    Raises:
        StartError: there are more than the hosts may take.
    """
    shares = []
    left = ranks
    for host in hosts:
        shares.append(min(host.ranks, left))
        left -= shares[-1]
    while left:
        takers = [
            place
            for place, host in enumerate(hosts)
            if host.most is None or shares[place] < host.most
        ]
        if not takers:
            raise StartError(
                f"-n {ranks} is more than the {sum(shares)} that the hosts may take by their "
                "max_slots"
            )
        for place in takers[:left]:
            shares[place] += 1
        left -= len(takers[:left])
    return [Host(host.name, number) for host, number in zip(hosts, shares, strict=True) if number]


def allocation(environment: Mapping[str, str], node_file: str = "") -> Allocation | None:
    """Return what the scheduler has given to the job in which this process runs.

    Args:
        environment: the process's environment variables.
        node_file: what the file ``$PBS_NODEFILE`` or ``$PE_HOSTFILE`` holds.

    Returns:
        None outside a scheduler's job.

    Raises:
        StartError: it can't be understood.
    """
    if environment.get("SLURM_JOB_ID"):
        return Allocation("Slurm", _slurm_ranks(environment), ())
    lines = [line.split() for line in node_file.splitlines() if line.strip()]
    if environment.get("PBS_NODEFILE"):  # a line for each rank
        return _of_hosts("PBS", "PBS_NODEFILE", ((line[0], "1") for line in lines))
    if environment.get("PE_HOSTFILE"):  # a host, its slots, and more; once for each queue
        pairs = ((line[0], "".join(line[1:2])) for line in lines)
        return _of_hosts("Grid Engine", "PE_HOSTFILE", pairs)
    if environment.get("LSB_MCPU_HOSTS"):  # a host, its slots, the next host, its slots
        words = environment["LSB_MCPU_HOSTS"].split()
        in_turn = itertools.zip_longest(words[::2], words[1::2], fillvalue="")
        return _of_hosts("LSF", "LSB_MCPU_HOSTS", in_turn)
    return None


def _of_hosts(scheduler: str, variable: str, found: Iterable[tuple[str, str]]) -> Allocation:
    """Return the allocation of these hosts, with these numbers of slots."""
    ranks: Counter[str] = Counter()
    for name, slots in found:
        # A host that the job has no slots on may be listed all the same.
        if not slots.isascii() or not slots.isdecimal():
            raise StartError(
                f"can't understand what {scheduler} tells by ${variable}: the number of slots of "
                f"{name!r} is {slots!r}. Unset {variable}, or say yourself with --hostfile"
            )
        ranks[name] += int(slots)
    hosts = tuple(Host(name, slots) for name, slots in ranks.items() if slots)
    if not hosts:
        raise StartError(
            f"{scheduler} names no host by ${variable}. Unset it, or say yourself with --hostfile"
        )
    return Allocation(scheduler, ranks.total(), hosts)


def _slurm_ranks(environment: Mapping[str, str]) -> int:
    tasks = environment.get("SLURM_NTASKS", "")
    if tasks.isdecimal():
        return max(1, int(tasks))
    counts = _SLURM_COUNT.findall(environment.get("SLURM_TASKS_PER_NODE", ""))
    return sum(int(tasks) * int(nodes or 1) for tasks, nodes in counts) or 1


def unused_cores(environment: Mapping[str, str]) -> str | None:
    """Say so, and how to use them, if a scheduler's job has several cores, and one rank only."""
    given, use = environment.get("SLURM_CPUS_PER_TASK", ""), "sbatch -n {0}"
    if not environment.get("SLURM_JOB_ID"):
        given = environment.get("NCPUS", "") if environment.get("PBS_NODEFILE") else ""
        use = "qsub -l select=1:ncpus={0}:mpiprocs={0}"
    elif not given and environment.get("SLURM_JOB_NUM_NODES") == "1":
        given = environment.get("SLURM_CPUS_ON_NODE", "")
    if not given.isdecimal() or int(given) < 2:
        return None
    return (
        f"the job has {given} cores but one task, so there is one rank. For {given} ranks ask for "
        f"as many tasks, {use.format(given)}; or give -n {given} here, or -n 1 if one is meant"
    )
