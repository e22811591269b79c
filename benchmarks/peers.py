"""The contestants: scoop_mpi and other ways to run functions in parallel, behind one interface.

A peer says how a job of it is started, and gives the job its `Pool`. Everything is imported where
it is used: a peer that isn't installed must not hinder the others, and no job should carry the
libraries of another.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal, Protocol

Launch = Literal["python", "mpiexec", "scoop"]


class Submit(Protocol):
    """Has a function called with arguments, and returns a handle on the result."""

    def __call__(self, function: Callable[..., Any], /, *arguments: Any) -> Any: ...


class Map(Protocol):
    """Has a function called with each item, and returns the results in order."""

    def __call__(self, function: Callable[..., Any], items: Iterable[Any], /) -> Iterable[Any]: ...


@dataclass(frozen=True, slots=True)
class Pool:
    """What measurements are written against. The callables are the peer's own where possible.

    Attributes:
        workers: how many processes compute.
        submit: hands in one call.
        result: waits for the result of what `submit` returned.
        done: whether it is there.
        map: hands in many calls.
        takes_part: whether the program's own process is one of those that compute, and may run a
            task itself while it waits for it.
    """

    workers: int
    submit: Submit
    result: Callable[[Any], Any]
    done: Callable[[Any], bool]
    map: Map
    takes_part: bool = False


@dataclass(frozen=True, slots=True)
class Peer:
    """One contestant.

    Attributes:
        name: as the table has it.
        module: what must be importable, "" if nothing.
        launch: how its jobs start: Python alone, under mpiexec, or by SCOOP's own launcher.
        options: what stands between Python and the job.
        open: gives the job its pool of so many workers; None where measurements do without one.
        extra_ranks: MPI processes beside those that compute.
    """

    name: str
    module: str
    launch: Launch
    options: tuple[str, ...]
    open: Callable[[int], AbstractContextManager[Pool]] | None
    extra_ranks: int = 0

    def is_installed(self) -> bool:
        """Whether this interpreter finds it."""
        return not self.module or find_spec(self.module.partition(".")[0]) is not None


@contextmanager
def _scoop_mpi(workers: int) -> Iterator[Pool]:
    import scoop_mpi

    if workers != scoop_mpi.SIZE:
        raise RuntimeError(f"a job of {scoop_mpi.SIZE} ranks was to have {workers}")
    yield pool_of_this_job(workers)


def pool_of_this_job(workers: int) -> Pool:
    """Return the pool that the running scoop_mpi job is."""
    from scoop_mpi import futures

    kind = futures.Future
    return Pool(workers, futures.submit, kind.result, kind.done, futures.map, takes_part=True)


@contextmanager
def _mpi4py_futures(workers: int) -> Iterator[Pool]:
    from mpi4py.futures import MPIPoolExecutor

    with MPIPoolExecutor() as executor:
        if executor.num_workers != workers:
            raise RuntimeError(f"{executor.num_workers} workers where {workers} were asked for")
        yield of_executor(executor, workers)


@contextmanager
def _process_pool_executor(workers: int) -> Iterator[Pool]:
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(workers) as executor:
        yield of_executor(executor, workers)


@contextmanager
def _loky(workers: int) -> Iterator[Pool]:
    from loky import ProcessPoolExecutor

    with ProcessPoolExecutor(workers) as executor:
        yield of_executor(executor, workers)


def of_executor(executor: Any, workers: int) -> Pool:
    """Return the pool of anything after PEP 3148."""
    from concurrent.futures import Future

    return Pool(workers, executor.submit, Future.result, Future.done, executor.map)


@contextmanager
def _multiprocessing_pool(workers: int) -> Iterator[Pool]:
    from multiprocessing.pool import ApplyResult
    from multiprocessing.pool import Pool as ProcessPool

    with ProcessPool(workers) as pool:
        apply_async = pool.apply_async

        def submit(function: Callable[..., Any], /, *arguments: Any) -> Any:
            return apply_async(function, arguments)

        yield Pool(workers, submit, ApplyResult.get, ApplyResult.ready, pool.map)


@contextmanager
def _scoop(workers: int) -> Iterator[Pool]:
    import scoop
    from scoop import futures

    if workers != scoop.SIZE:
        raise RuntimeError(f"SCOOP has {scoop.SIZE} workers where {workers} were asked for")
    kind = type(futures.submit(abs, 0))
    yield Pool(workers, futures.submit, kind.result, kind.done, futures.map, takes_part=True)


@contextmanager
def _dask(workers: int) -> Iterator[Pool]:
    from distributed import Client, Future, LocalCluster

    with (
        LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        # Dask takes a call with the same arguments for the same, unless told.
        submit = functools.partial(client.submit, pure=False)

        def map_(function: Callable[..., Any], items: Iterable[Any], /) -> Iterable[Any]:
            results: list[Any] = client.gather(client.map(function, list(items), pure=False))
            return results

        yield Pool(workers, submit, Future.result, Future.done, map_)


@contextmanager
def _ray(workers: int) -> Iterator[Pool]:
    import ray

    ray.init(num_cpus=workers, include_dashboard=False, logging_level="ERROR")
    remote = functools.cache(ray.remote)

    def submit(function: Callable[..., Any], /, *arguments: Any) -> Any:
        return remote(function).remote(*arguments)

    def done(reference: Any) -> bool:
        return bool(ray.wait([reference], timeout=0)[0])

    def map_(function: Callable[..., Any], items: Iterable[Any], /) -> Iterable[Any]:
        call = remote(function).remote
        results: list[Any] = ray.get([call(item) for item in items])
        return results

    try:
        yield Pool(workers, submit, ray.get, done, map_)
    finally:
        ray.shutdown()


_PEERS = (
    Peer("scoop_mpi", "scoop_mpi", "mpiexec", ("-m", "scoop_mpi"), _scoop_mpi),
    Peer("mpi4py.futures", "mpi4py", "mpiexec", ("-m", "mpi4py.futures"), _mpi4py_futures, 1),
    Peer("ProcessPoolExecutor", "", "python", (), _process_pool_executor),
    Peer("multiprocessing.Pool", "", "python", (), _multiprocessing_pool),
    Peer("loky", "loky", "python", (), _loky),
    Peer("SCOOP 0.7", "scoop", "scoop", ("-m", "scoop"), _scoop),
    Peer("Dask", "distributed", "python", (), _dask),
    Peer("Ray", "ray", "python", (), _ray),
    # What the others are compared with.
    Peer("mpi4py", "mpi4py", "mpiexec", (), None),
    Peer("Python", "", "python", (), None),
)

PEERS: Mapping[str, Peer] = {peer.name: peer for peer in _PEERS}
