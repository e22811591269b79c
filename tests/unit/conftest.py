"""What the unit tests share."""

from __future__ import annotations

import logging
import time

import pytest
from hypothesis import HealthCheck, settings

from scoop_mpi import current
from scoop_mpi.engine.hub import Hub
from scoop_mpi.engine.idle import Backoff
from scoop_mpi.engine.placing import NodeMemory
from scoop_mpi.engine.runtime import Runtime
from scoop_mpi.transport.fabric import Fabric

# No test is judged by its time, on whatever machine it runs; a failure prints how to replay it.
settings.register_profile(
    "unit", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("unit")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    """The hub of rank 0 of two, where the other never says a word."""
    logger = logging.getLogger(__name__)
    ends = Fabric(2).endpoints
    made = Hub(Runtime(ends[0], time.perf_counter, print, NodeMemory(logger)), Backoff(1), logger)
    made.open_queues()
    monkeypatch.setattr(current, "hub", made)
    return made
