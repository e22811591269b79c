"""A process that measures one thing for one contestant, and writes the metrics to a file.

    python -m benchmarks.job OUTPUT PEER WORKERS MEASUREMENT PARAMETERS

`runner` starts it, alone or under mpiexec. PARAMETERS are keyword arguments, as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks import measurements, raw
from benchmarks.peers import PEERS
from benchmarks.records import Metrics


def main(arguments: list[str]) -> None:
    """Measure, and write the metrics."""
    output, name, workers, measurement, parameters = arguments
    peer = PEERS[name]
    keywords = json.loads(parameters)
    metrics: Metrics
    if peer.open is not None:
        with peer.open(int(workers)) as pool:
            metrics = measurements.measure(pool, measurement, keywords)
    elif peer.launch == "mpiexec":
        metrics = raw.measure_mpi(measurement, keywords)
        if not raw.is_first_rank():
            return
    else:
        metrics = raw.OF_PYTHON[measurement](**keywords)
    Path(output).write_text(json.dumps(metrics))


if __name__ == "__main__":
    main(sys.argv[1:])
