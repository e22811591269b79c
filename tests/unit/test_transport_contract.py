"""The fabric keeps the contract of transports."""

from __future__ import annotations

import random
import threading
import traceback

import pytest

from scoop_mpi.transport.fabric import Fabric
from scoop_mpi.transport.protocol import Transport
from tests.transports import TESTS, Test


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("test", TESTS, ids=lambda test: test.__name__)
@pytest.mark.parametrize("is_random", [False, True], ids=["in order", "random"])
def test_fabric(is_random: bool, test: Test, size: int) -> None:
    fabric = Fabric(size, random.Random(size) if is_random else None, ranks_per_node=2)
    problems: list[str] = []

    def run(transport: Transport) -> None:
        try:
            test(transport)
        except BaseException:
            problems.append(traceback.format_exc())

    threads = [
        threading.Thread(target=run, args=(endpoint,), daemon=True) for endpoint in fabric.endpoints
    ]
    for thread in threads:
        thread.start()
    for thread in threads:  # where one has failed, the others may wait for it for ever
        while thread.is_alive() and not problems:
            thread.join(0.05)
    assert not problems, "\n".join(problems)
    assert fabric.is_empty
