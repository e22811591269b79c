"""Workers and broker together: whatever the order of events, all work is done, once."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from scoop_mpi.tasks.span import Span
from tests.unit.cluster import Cluster

which = st.integers(0, 99)


class Matchmaking(RuleBasedStateMachine):
    """A few ranks that submit, run, ask, give and answer in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.cluster = Cluster(1)

    @initialize(size=st.integers(1, 5))
    def begin_job(self, size: int) -> None:
        self.cluster = Cluster(size)

    def rank(self, which: int) -> int:
        return which % self.cluster.size

    @rule(which=which, count=st.integers(1, 5), elsewhere=st.booleans())
    def submit_futures(self, which: int, count: int, elsewhere: bool) -> None:
        self.cluster.submit_futures(self.rank(which), count, elsewhere)

    @rule(which=which, count=st.integers(1, 12), is_reduction=st.booleans())
    def submit_span(self, which: int, count: int, is_reduction: bool) -> None:
        self.cluster.submit_span(self.rank(which), count, is_reduction)

    @rule(which=which, size=st.integers(1, 4))
    def begin(self, which: int, size: int) -> None:
        task = self.cluster.ranks[self.rank(which)].newest()
        if isinstance(task, Span):
            task.window_size = size
        self.cluster.begin(self.rank(which))

    @rule(which=which)
    def finish(self, which: int) -> None:
        self.cluster.finish(self.rank(which))

    @rule(which=which)
    def run_low(self, which: int) -> None:
        self.cluster.run_low(self.rank(which))

    @rule(which=which, thief=which, elsewhere=st.booleans())
    def submit_and_poll(self, which: int, thief: int, elsewhere: bool) -> None:
        """The program submits a task, and asks whether it is done, rather than run any."""
        rank = self.rank(which)
        self.cluster.ranks[rank].is_polling = True
        self.cluster.submit_futures(rank, 1, elsewhere)
        self.cluster.offer(rank)
        self.cluster.run_low(self.rank(thief))

    @rule(which=which)
    def poll_no_more(self, which: int) -> None:
        self.cluster.ranks[self.rank(which)].is_polling = False

    @rule(which=which)
    def offer(self, which: int) -> None:
        self.cluster.offer(self.rank(which))

    @rule(which=which)
    def flush(self, which: int) -> None:
        self.cluster.flush(self.rank(which))

    @precondition(lambda self: self.cluster.busy_links())
    @rule(which=which, overtaking=st.booleans())
    def deliver(self, which: int, overtaking: bool) -> None:
        links = self.cluster.busy_links()
        self.cluster.deliver(links[which % len(links)], overtaking)

    @invariant()
    def holds(self) -> None:
        self.cluster.check()

    def teardown(self) -> None:
        cluster = self.cluster
        cluster.settle()
        cluster.check()
        cluster.check_at_rest()
        cluster.work_off()
        cluster.settle()
        cluster.check()
        cluster.check_at_end()
        assert set(cluster.broker.hungry) == {
            rank for rank, place in enumerate(cluster.ranks) if place.worker.reports.has_asked
        }


TestMatchmaking = Matchmaking.TestCase
TestMatchmaking.settings = settings(max_examples=150, stateful_step_count=40)
