"""A backend for joblib, and so for scikit-learn: `Parallel` makes its calls on the ranks.

    from scoop_mpi.joblib import register

    register()
    with joblib.parallel_config("scoop_mpi"):
        ...

It rests on `MPIPoolExecutor`, whose callbacks joblib needs. Arrays that many calls share go to each
node once, as constants do, where joblib would map them from a file; as there, they are read-only.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from scoop_mpi import current
from scoop_mpi.engine.hub import running
from scoop_mpi.fronts.executor import MPIPoolExecutor
from scoop_mpi.shared import SharedElementEncapsulation

try:
    from joblib import register_parallel_backend
    from joblib._parallel_backends import (
        AutoBatchingMixin,
        FallbackToBackend,
        SequentialBackend,
    )
    from joblib.parallel import ParallelBackendBase
except ImportError as error:
    raise ImportError("scoop_mpi.joblib needs joblib 1.4 or later: pip install joblib") from error

__all__ = ["MPIBackend", "register"]


def __dir__() -> list[str]:
    """Return the public names, which tab completion shows."""
    return list(__all__)


NAME = "scoop_mpi"
SHARED_BYTES = 1 << 20  # of an array, as with joblib: smaller ones travel with each call


def register(*, make_default: bool = False) -> None:
    """Make the backend known to joblib, by the name "scoop_mpi".

    Args:
        make_default: whether `Parallel` takes it where none is named.
    """
    register_parallel_backend(NAME, MPIBackend, make_default=make_default)


class MPIBackend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc] # joblib is untyped
    """The backend. See joblib's `ParallelBackendBase` for what its methods do."""

    default_n_jobs = -1
    supports_retrieve_callback = True
    MIN_IDEAL_BATCH_DURATION = 0.02  # seconds; a call costs a tenth of what it costs loky

    def __init__(self, nesting_level: int | None = None, **options: Any) -> None:
        super().__init__(nesting_level=nesting_level, **options)
        self._executor: MPIPoolExecutor | None = None
        self._calls: dict[Any, None] = {}
        self._lock = threading.Lock()
        self._shared: dict[int, tuple[Any, SharedArray]] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return MPIBackend, (self.nesting_level,)

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Return the number of ranks for calls, or less, if less is asked for."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        ranks = 1 if current.hub is None else running().runtime.size
        if n_jobs is None:
            return ranks
        return max(ranks + 1 + n_jobs, 1) if n_jobs < 0 else n_jobs

    def configure(
        self,
        n_jobs: int | None = 1,
        parallel: Any = None,
        prefer: object = None,
        require: object = None,
        **options: Any,
    ) -> int:
        """Get ready for the calls of one `Parallel`; return how many are made at a time."""
        count = self.effective_n_jobs(n_jobs)
        if n_jobs == 1 or current.hub is None or running().runtime.size == 1:
            raise FallbackToBackend(SequentialBackend(nesting_level=self.nesting_level))
        self.parallel = parallel
        # The program's thread does nothing but wait.
        self._executor = MPIPoolExecutor(max_workers=count, root_works=True)
        return count

    def submit(self, func: Any, callback: Callable[[Any], object] | None = None) -> Any:
        """Have a batch of calls made."""
        assert self._executor is not None
        call = self._executor.submit(_Batch(func, self._with_shared))
        with self._lock:
            self._calls[call] = None
        call.add_done_callback(self._forget)
        if callback is not None:
            call.add_done_callback(callback)
        return call

    def _forget(self, call: Any) -> None:
        with self._lock:
            self._calls.pop(call, None)

    def retrieve_result_callback(self, out: Any) -> Any:
        """Return what a batch returned, or raise what it raised."""
        return out.result()

    def get_nested_backend(self) -> tuple[MPIBackend, None]:
        """Return what a `Parallel` within a call uses: the same ranks."""
        return MPIBackend(nesting_level=(self.nesting_level or 0) + 1), None

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Cancel what nobody has begun."""
        with self._lock:
            calls = list(self._calls)
        for call in reversed(calls):
            call.cancel()

    def stop_call(self) -> None:
        """Let go of the arrays that the calls have shared."""
        self._shared.clear()

    def terminate(self) -> None:
        """Let go of the executor."""
        if self._executor is not None:
            self._executor.shutdown(wait=False)
            self._executor = None
        self._shared.clear()
        self.reset_batch_stats()

    def _with_shared(self, argument: Any) -> Any:
        """Return what stands for an argument: of a large array, a constant."""
        if type(argument) is not np.ndarray or argument.nbytes < SHARED_BYTES:
            return argument
        if argument.dtype.hasobject:
            return argument
        with self._lock:
            known = self._shared.get(id(argument))
            if known is None:
                # The array itself as well: so its identity stays its own.
                known = self._shared[id(argument)] = argument, SharedArray(argument)
        return known[1]


class SharedArray:
    """Stands for an array that is a constant.

    Args:
        array: which one.
    """

    __slots__ = ("_element",)

    def __init__(self, array: Any) -> None:
        self._element = SharedElementEncapsulation(_Kept(array))

    def open(self) -> Any:
        """Return the array."""
        return self._element()


class _Kept:
    """Something that is called to get an array: what a shared element is made of."""

    __slots__ = ("array",)

    def __init__(self, array: Any) -> None:
        self.array = array

    def __call__(self) -> Any:
        return self.array


class _Batch:
    """A batch of joblib's, with constants in the place of large arrays.

    Args:
        batch: joblib's `BatchedCalls`.
        replace: returns what stands for an argument.
    """

    __slots__ = ("batch",)

    def __init__(self, batch: Any, replace: Callable[[Any], Any]) -> None:
        batch.items = [
            (func, tuple(map(replace, args)), {name: replace(value) for name, value in kw.items()})
            for func, args, kw in batch.items
        ]
        self.batch = batch

    def __getstate__(self) -> Any:
        return self.batch

    def __setstate__(self, batch: Any) -> None:
        self.batch = batch

    def __call__(self) -> Any:
        batch = self.batch
        batch.items = [
            (func, tuple(map(_opened, args)), {name: _opened(value) for name, value in kw.items()})
            for func, args, kw in batch.items
        ]
        return batch()


def _opened(argument: Any) -> Any:
    return argument.open() if type(argument) is SharedArray else argument
