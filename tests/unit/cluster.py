"""Several ranks' workers and the broker, whose messages a test delivers one by one."""

from __future__ import annotations

from collections import Counter, defaultdict, deque

from scoop_mpi.state.broker import Broker
from scoop_mpi.state.routing import BROKER_RANK
from scoop_mpi.state.worker import Worker
from scoop_mpi.tasks.future import Future
from scoop_mpi.tasks.reduction import Tree
from scoop_mpi.tasks.span import Span, Task, Window
from scoop_mpi.wire.messages import (
    Call,
    Message,
    Results,
    Returned,
    Send,
    Steal,
    StealFailed,
    Work,
    WorkOffered,
    WorkWanted,
)
from tests.unit.helpers import bracket, make_future, over_the_wire, the_tree

# How often each task has run: functions that are sent by name can only leave it in their module.
times_run: Counter[int] = Counter()


class TaskFailed(Exception):
    """What some tasks raise."""


def run_task(number: int) -> int:
    """What all futures and maps of a cluster call."""
    times_run[number] += 1
    if number % 7 == 6:
        raise TaskFailed(number)
    return -number


def run_reduced_task(number: int) -> str:
    """What all reductions of a cluster call."""
    times_run[number] += 1
    return str(number)


class Rank:
    """One rank: its worker, and what it has begun."""

    def __init__(self, rank: int, size: int) -> None:
        self.worker = Worker(rank, size, f"node{rank}", lambda: 0)
        self.worker.open_queues()
        self.broker = Broker(size) if rank == BROKER_RANK else None
        self.windows: list[Window] = []
        self.is_polling = False  # the program asks whether its tasks are done, and runs none

    @property
    def keep(self) -> int:
        """How many calls thieves have to leave here."""
        return 0 if self.windows or self.is_polling else 1

    def newest(self) -> Task | None:
        """The task that this rank would begin next."""
        for queue in (self.worker.queues.ready, self.worker.queues.elsewhere):
            for task in reversed(queue):
                if isinstance(task, Future) or task.unclaimed:
                    return task
        return None


class Cluster:
    """A job of `size` ranks."""

    def __init__(self, size: int) -> None:
        times_run.clear()
        self.size = size
        self.ranks = [Rank(rank, size) for rank in range(size)]
        self.links: defaultdict[tuple[int, int], deque[Message]] = defaultdict(deque)
        self.futures: dict[int, Future] = {}
        self.spans: dict[int, Span] = {}
        self.sent = 0
        self._numbers = 0

    @property
    def broker(self) -> Broker:
        """The matchmaker."""
        broker = self.ranks[BROKER_RANK].broker
        assert broker is not None
        return broker

    # ------------------------------------------------------------ what a rank does

    def submit_futures(self, rank: int, count: int, elsewhere: bool = False) -> None:
        """Submit `count` futures on `rank`, or on another thread of it."""
        worker = self.ranks[rank].worker
        for _ in range(count):
            future = self.futures[self._numbers] = make_future(run_task, self._numbers)
            (worker.queues.elsewhere if elsewhere else worker.queues.ready)[future] = None
            self._numbers += 1

    def submit_span(self, rank: int, count: int, is_reduction: bool = False) -> Span:
        """Submit a span of `count` calls on `rank`."""
        worker = self.ranks[rank].worker
        numbers = range(self._numbers, self._numbers + count)
        span = Span(
            rank,
            numbers,
            False,
            worker.ledger.deliver,
            function=run_reduced_task if is_reduction else run_task,
            reduction=bracket if is_reduction else None,
        )
        self.spans[self._numbers] = span
        worker.queues.ready[span] = None
        self._numbers += count
        return span

    def begin(self, rank: int) -> bool:
        """Begin the newest task; return whether there was any."""
        place = self.ranks[rank]
        task = place.newest()
        if task is None:
            return False
        worker = place.worker
        if isinstance(task, Future):
            assert worker.queues.claim(task)
            task.run()
            return True
        task.open(worker.functions)
        window = task.claim()
        if window is not None:
            place.windows.append(window)
        return True

    def finish(self, rank: int) -> bool:
        """Work off the window that was begun last; return whether there was any."""
        windows = self.ranks[rank].windows
        if not windows:
            return False
        window = windows.pop()
        window.run()
        window.span.retire(window)
        if not window.span.unclaimed:
            self.ranks[rank].worker.queues.forget(window.span)
        return True

    def run_low(self, rank: int) -> None:
        """The rank is about to run dry."""
        self._send_values(rank, is_low=True)
        self.post(rank, self.ranks[rank].worker.reports.take(is_low=True))

    def offer(self, rank: int) -> None:
        """The rank says so if it has work to spare."""
        place = self.ranks[rank]
        if place.worker.sharing.offer(place.keep):
            self.post(rank, [Send(BROKER_RANK, WorkOffered())])

    def flush(self, rank: int) -> None:
        """The rank sends off its results."""
        self._send_values(rank, is_low=False)
        self.post(rank, self.ranks[rank].worker.reports.take(is_low=False))

    def _send_values(self, rank: int, is_low: bool) -> None:
        worker = self.ranks[rank].worker
        while worker.reports.returned:
            self.post(rank, [worker.reports.next_value(is_low)])

    # ------------------------------------------------------------ messages

    def post(self, source: int, sends: list[Send]) -> None:
        """Send messages on their way; those to the rank itself arrive at once."""
        for destination, message in sends:
            self.sent += 1
            if destination == source:
                self._handle(source, source, message)
            else:
                self.links[source, destination].append(over_the_wire(message))

    def busy_links(self) -> list[tuple[int, int]]:
        """The pairs of ranks between which something is under way."""
        return sorted(link for link, messages in self.links.items() if messages)

    def deliver(self, link: tuple[int, int], overtaking: bool = False) -> None:
        """Deliver the next message of a link, or one that overtakes large ones."""
        messages = self.links[link]
        place = 0
        while overtaking and place + 1 < len(messages):
            if not isinstance(messages[place], Work | Results | Call | Returned):
                break
            place += 1
        message = messages[place]
        del messages[place]
        self._handle(*link, message)

    def deliver_all(self) -> None:
        """Deliver messages until none is under way."""
        while links := self.busy_links():
            self.deliver(links[0])

    def _handle(self, source: int, destination: int, message: Message) -> None:
        place = self.ranks[destination]
        if isinstance(message, WorkWanted | WorkOffered | StealFailed):
            self.broker.handle(source, message)
            self.match()
        else:
            self.post(destination, place.worker.handle(source, message, place.keep))
            if isinstance(message, Results | Returned) and message.wants_work:
                self.broker.ask(source)
                self.match()

    def match(self) -> None:
        """The broker sends thieves to victims."""
        while sends := self.broker.match():
            self.post(BROKER_RANK, sends)

    # ------------------------------------------------------------ towards rest

    def settle(self) -> None:
        """Let messages move until none does, while nobody runs anything."""
        limit = self.sent + 200 + 20 * self.size
        while True:
            for rank in range(self.size):
                self.offer(rank)
                self.flush(rank)
            links = self.busy_links()
            if not links:
                return
            self.deliver(links[0])
            assert self.sent < limit, "messages go to and fro for ever"

    def work_off(self) -> None:
        """Let all ranks work until there is nothing left to do."""
        busy = True
        while busy:
            busy = False
            for rank, place in enumerate(self.ranks):
                busy |= self.begin(rank) | self.finish(rank)
                if len(place.worker.queues.ready) <= 1:
                    self.run_low(rank)
                self.offer(rank)
                self.flush(rank)
            for link in self.busy_links():
                self.deliver(link)
                busy = True

    # ------------------------------------------------------------ what always holds

    def places_of_request(self, rank: int) -> list[str]:
        """Where a rank's request for work is: at one place, or nowhere if it has not asked."""
        found = ["hungry"] * (rank in self.broker.hungry)
        for (source, destination), messages in self.links.items():
            for message in messages:
                match message:
                    case WorkWanted() if source == rank:
                        found.append("to the broker")
                    case Results(_, _, True) | Returned(_, _, _, True) if source == rank:
                        found.append("to the broker")
                    case Call():
                        found += ["answered"] * (destination == rank)
                    case Steal(thieves) | StealFailed(thieves):
                        found += ["with a victim"] * thieves.count(rank)
                    case Work(_, _, followers):
                        found += ["answered"] * (destination == rank)
                        found += ["with a victim"] * followers.count(rank)
        return found

    def check(self) -> None:
        """Check what holds at any time."""
        for rank, place in enumerate(self.ranks):
            worker = place.worker
            assert len(self.places_of_request(rank)) == worker.reports.has_asked, rank
            if worker.reports.has_offered:
                under_way = self.links[rank, BROKER_RANK]
                assert rank in self.broker.offering or WorkOffered() in under_way, rank
        assert all(times == 1 for times in times_run.values())

    def check_at_rest(self) -> None:
        """Check that nobody goes hungry while another rank has work to spare."""
        spare = {
            rank
            for rank, place in enumerate(self.ranks)
            if place.worker.sharing.has_spare(place.keep)
        }
        for rank in self.broker.hungry:
            assert spare <= {rank}

    def check_at_end(self) -> None:
        """Check that every task has ended once, and that nothing is left over."""
        assert times_run == Counter(range(self._numbers))
        for number, future in self.futures.items():
            assert future.is_done
            if number % 7 == 6:
                assert isinstance(future.failure, TaskFailed)
            else:
                assert future.result() == -number
        for first, span in self.spans.items():
            assert span.unreported == 0
            self._check_span(first, span)
        for place in self.ranks:
            worker = place.worker
            assert not worker.ledger.given
            assert not worker.reports.outbox
            assert not worker.reports.returned
            assert not worker.queues.ready
            assert not worker.queues.elsewhere

    def _check_span(self, first: int, span: Span) -> None:
        tree = Tree(bracket, span.count)
        reported: list[int] = []
        for outcomes in span.inbox:
            values, failures = outcomes.open()
            numbers = range(first + outcomes.start, first + outcomes.start + outcomes.length)
            reported += numbers
            if span.reduction is not None:
                tree.add(outcomes.start, outcomes.length, values, failures)
                continue
            for offset, number in enumerate(numbers):
                if number % 7 == 6:
                    assert isinstance(failures[offset], TaskFailed)
                else:
                    assert values[offset] == -number
        assert sorted(reported) == list(range(first, first + span.count))
        if span.reduction is not None:
            assert tree.result(None) == the_tree(span.count, first)
