"""MPI keeps the contract of transports."""

from __future__ import annotations

import pytest

from scoop_mpi.transport.mpi import MPITransport
from tests.transports import TESTS, Test


@pytest.mark.parametrize("test", TESTS, ids=lambda test: test.__name__)
def test_mpi(test: Test, transport: MPITransport) -> None:
    transport.barrier()
    test(transport)
