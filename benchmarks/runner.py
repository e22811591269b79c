"""Run cases: a job for each contestant, each in turn, so that noise of the machine hits all alike.

for each case, for each round:
    for each contestant (a round later begins with the next one):
        for each MPI it uses: start a job -> metrics, or an error -> Record
"""

from __future__ import annotations

import json
import os
import platform
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import launcher
from benchmarks.case import Case, Contestant
from benchmarks.launcher import Environment, JobFailed
from benchmarks.peers import PEERS
from benchmarks.records import Metrics, Record, Results

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run.

    Attributes:
        cases: in order.
        environments: the first is for all peers, the others for what uses MPI.
        rounds: how often each contestant is measured.
        is_short: whether the work is the short one.
    """

    cases: Sequence[Case]
    environments: Sequence[Environment]
    rounds: int
    is_short: bool


def run(plan: Plan, say: Say, save: Callable[[Results], None]) -> Results:
    """Measure everything, and say how it goes.

    Args:
        plan: what to run.
        say: takes lines for whoever watches.
        save: takes what there is after each case, lest all be lost when a long run is stopped.
    """
    absent = absent_peers(plan)
    for name, reason in absent.items():
        say(f"left out: {name} ({reason})")
    results = Results(describe_machine(plan.environments), (), absent)
    for case in plan.cases:
        found = tuple(_records(case, plan, absent.keys(), say))
        results = replace(results, records=results.records + found)
        save(results)
    return results


def absent_peers(plan: Plan) -> dict[str, str]:
    """Return which peers the cases ask for and the first interpreter doesn't have, and why."""
    wanted = {it.peer for case in plan.cases for it in case.participants(plan.is_short)}
    python = plan.environments[0].python
    code = "from benchmarks.peers import PEERS; "
    code += "print(*[p.name for p in PEERS.values() if not p.is_installed()], sep='\\n')"
    missing = set(launcher.run([python, "-c", code], limit=60).splitlines())
    return {name: "not installed" for name in PEERS if name in wanted & missing}


def _records(case: Case, plan: Plan, absent: Iterable[str], say: Say) -> Iterator[Record]:
    say(f"{case.name}: {case.title}")
    jobs = [
        (contestant, environment)
        for contestant in case.participants(plan.is_short)
        if contestant.peer not in absent
        for environment in _environments(contestant, plan)
    ]
    for round_ in range(plan.rounds):
        start = round_ % len(jobs)
        for contestant, environment in jobs[start:] + jobs[:start]:
            yield _record(case, contestant, environment, round_, plan.is_short, say)


def _uses_mpi(contestant: Contestant) -> bool:
    return contestant.in_each_mpi or PEERS[contestant.peer].launch == "mpiexec"


def _environments(contestant: Contestant, plan: Plan) -> Sequence[Environment]:
    return plan.environments if _uses_mpi(contestant) else plan.environments[:1]


def _record(
    case: Case,
    contestant: Contestant,
    environment: Environment,
    round_: int,
    is_short: bool,
    say: Say,
) -> Record:
    parameters = contestant.arguments(is_short)
    name = environment.mpi if _uses_mpi(contestant) else ""
    metrics: Metrics = {}
    error = None
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        output = Path(folder) / "metrics"
        command = job_command(contestant, environment, str(output), json.dumps(parameters))
        try:
            written = launcher.run(command, contestant.limit)
            metrics = json.loads(output.read_text())
        except JobFailed as failure:
            error = str(failure)
        except FileNotFoundError:
            error = f"no metrics were written:\n{written[-4000:]}"
    where = f" ({name})" if name else ""
    say(f"  {round_ + 1}. {contestant.name}{where}: {error or in_short(metrics)}")
    return Record(
        case.name,
        contestant.name,
        contestant.peer,
        name,
        parameters.get("ranks", contestant.workers),
        round_,
        metrics,
        error,
    )


def job_command(
    contestant: Contestant, environment: Environment, output: str, parameters: str
) -> list[str]:
    """Return the command that measures one contestant once."""
    peer = PEERS[contestant.peer]
    workers = str(contestant.workers)
    job = (output, peer.name, workers, contestant.measurement, parameters)
    module = (*peer.options, "-m", "benchmarks.job", *job)
    match peer.launch:
        case "mpiexec":
            return environment.command(contestant.workers + peer.extra_ranks, *module)
        case "scoop":
            script = str(Path(__file__).with_name("job.py"))
            return [environment.python, *peer.options, "-n", workers, script, *job]
        case "python":
            return [environment.python, *module]


def in_short(metrics: Metrics) -> str:
    """Return the metrics that are numbers, on one line."""
    return ", ".join(
        f"{name} {value:.4g}" for name, value in metrics.items() if not isinstance(value, list)
    )


def describe_machine(environments: Iterable[Environment]) -> dict[str, str]:
    """Return what one should know of the machine when reading the figures."""
    versions = {environment.python_version() for environment in environments}
    return {
        "cores": str(len(os.sched_getaffinity(0))),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.release()}",
        "Python": ", ".join(sorted(versions)),
        "MPI": ", ".join(environment.mpi for environment in environments if environment.mpi),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
