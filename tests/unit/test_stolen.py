"""A stolen call runs once, says whose it is, and puts its outcome where its owner's wait."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest

from scoop_mpi.tasks.outcomes import Outbox, Outcomes, ReturnedValues
from scoop_mpi.tasks.stolen import LoneCall, StolenCall
from scoop_mpi.wire.columns import seal_calls
from scoop_mpi.wire.functions import Functions
from scoop_mpi.wire.messages import Call
from scoop_mpi.wire.values import Sealer
from tests.unit.helpers import Box


def of_parcel(argument: Any, outbox: Outbox) -> StolenCall:
    batch = seal_calls([(argument,)], star=True)
    functions = Functions(1, print)
    sealed = functions.codec.seal(abs)
    parcel = (2, 7, 3, sealed, None, *batch)
    return StolenCall.of_parcel(parcel, sealed, functions, Sealer(1, "node1"), outbox)


def of_call(function: Any, argument: Any, outbox: Outbox, returned: ReturnedValues) -> LoneCall:
    functions = Functions(1, print)
    data, _ = functions.codec.seal(function)
    call = Call(0, 2, 7, data, (argument,))
    return LoneCall.of_call(call, functions, Sealer(1, "node1"), outbox, returned)


@pytest.mark.parametrize("is_lone", [False, True])
def test_a_stolen_call_says_whose_it_is_before_and_after_it_has_run(is_lone: bool) -> None:
    call = of_call(abs, -2, deque(), deque()) if is_lone else of_parcel(-2, deque())
    start = 0 if is_lone else 3
    assert repr(call) == f"<StolenCall {start} of span 7 of rank 2, not done>"
    call.run()
    assert repr(call) == f"<StolenCall {start} of span 7 of rank 2, has ended>"


def test_the_outcome_goes_to_the_owner() -> None:
    outbox: Outbox = deque()
    of_parcel(-2, outbox).run()
    of_parcel("two", outbox).run()
    (good, bad) = outbox
    assert good == (2, 7, Outcomes(3, 1, [2], {}))
    assert bad[:2] == (2, 7)
    assert isinstance(bad[2].open()[1][0], TypeError)


def test_a_lone_call_returns_a_plain_value_by_itself_and_anything_else_as_an_outcome() -> None:
    outbox: Outbox = deque()
    returned: ReturnedValues = deque()
    for function, argument in ((abs, -2), (Box, 2), (abs, "two")):
        of_call(function, argument, outbox, returned).run()
    assert list(returned) == [(2, 7, 2)]
    boxed, failed = outbox
    assert boxed[:2] == (2, 7)
    assert boxed[2].values[0] == Box(2)
    assert isinstance(failed[2].open()[1][0], TypeError)
