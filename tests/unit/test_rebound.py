"""Names that the root has bound anew are noticed where functions read them; others are not."""

from __future__ import annotations

import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scoop_mpi.job.program import Program
from scoop_mpi.tasks import rebound

Run = Callable[[str], dict[str, list[str]]]

CHECK = """
import functools
from scoop_mpi.tasks import rebound

found = {}

def check(function):
    names = globals().get(rebound.HOOK)
    found[getattr(function, "__name__", "?")] = names.rebound(function) if names else []

"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Run a program as the root does; return which names were found for which function."""
    modules = dict(sys.modules)
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    monkeypatch.setattr(sys, "path", list(sys.path))

    def run(source: str) -> dict[str, list[str]]:
        path = tmp_path / "program.py"
        path.write_text(CHECK + textwrap.dedent(source))
        Program("script", str(path)).run()
        found: dict[str, list[str]] = sys.modules["__main__"].found
        return found

    yield run
    sys.modules.clear()
    sys.modules.update(modules)


def test_a_name_bound_anew_under_the_main_guard(run: Run) -> None:
    found = run("""
        factor, offset = 1, 2

        def scale(x):
            return factor * x

        def shift(x):
            return offset + x

        if __name__ == "__main__":
            check(shift)
            factor = 10
            offset = 2
            check(scale)
            check(shift)
    """)
    assert found == {"scale": ["factor"], "shift": []}


def test_a_name_is_told_of_once(run: Run) -> None:
    found = run("""
        factor = 1

        def scale(x):
            return factor * x

        def scale_too(x):
            return factor * x

        if __name__ == "__main__":
            factor = 10
            check(scale)
            check(scale_too)
    """)
    assert found == {"scale": ["factor"], "scale_too": []}


def test_a_name_bound_anew_by_a_function(run: Run) -> None:
    found = run("""
        table = None

        def load():
            global table
            table = [1, 2, 3]

        def look_up(x):
            return table[x]

        def main():
            check(look_up)
            load()
            check(look_up)

        if __name__ == "__main__":
            main()
    """)
    assert found == {"look_up": ["table"]}


def test_what_the_import_itself_bound_is_the_same_everywhere(run: Run) -> None:
    found = run("""
        table = None

        def load():
            global table
            table = [1, 2, 3]

        load()

        def look_up(x):
            return table[x]

        if __name__ == "__main__":
            check(look_up)
    """)
    assert found == {"look_up": []}


def test_what_tasks_bind_is_theirs(run: Run) -> None:
    found = run("""
        calls, cache = 0, None

        def count(x):
            global calls
            calls += 1
            return x

        def table():
            global cache
            if cache is None:
                cache = [1, 2, 3]
            return cache

        class Table:
            def fill(self):
                global cache
                cache = [1, 2, 3]

        def look_up(x):
            return table()[x]

        def look_up_directly(x):
            Table().fill()
            return cache[x]

        if __name__ == "__main__":
            for function in (count, look_up):
                function(1)
            for function in (count, look_up, look_up_directly):
                check(function)
    """)
    assert found == {"count": [], "look_up": [], "look_up_directly": []}


@pytest.mark.parametrize(
    "called",
    [
        "helper",
        "functools.partial(helper, 1)",
        "Scaler().scale",
        "Scaler()",
        "Scaler",
        "Scaler.scale_of_class",
        "lambda x: helper(x)",
        "decorated",
        "cached",
        "in_a_comprehension",
        "deep",
    ],
)
def test_a_name_is_found_by_whatever_way_it_is_read(run: Run, called: str) -> None:
    found = run(f"""
        factor = 1

        def helper(x):
            return factor * x

        class Scaler:
            def __call__(self, x):
                return self.scale(x)

            def scale(self, x):
                return factor * x

            @classmethod
            def scale_of_class(cls, x):
                return factor * x

        def decorator(function):
            @functools.wraps(function)
            def wrapper(*args):
                return function(*args)
            return wrapper

        @decorator
        def decorated(x):
            return factor * x

        @functools.lru_cache
        def cached(x):
            return factor * x

        def in_a_comprehension(x):
            return [factor * y for y in range(x)]

        def deep(x):
            return in_a_comprehension(x) if x else deep(x - 1)

        if __name__ == "__main__":
            if True:
                factor = 10
            check({called})
    """)
    assert list(found.values()) == [["factor"]]


@pytest.mark.parametrize(
    "called",
    [
        "lambda x: factor * x",
        "by_attribute",
        "by_argument",
        "abs",
        "functools.partial(max, 1)",
        "proxy",
    ],
)
def test_what_does_not_read_the_name_there_is_not_told_of(run: Run, called: str) -> None:
    found = run(f"""
        factor = 1

        class Proxy:
            @property
            def __class__(self):
                raise RuntimeError("not here")

        proxy = Proxy()

        def by_attribute(thing):
            return thing.factor, proxy

        def by_argument(factor):
            return factor

        if __name__ == "__main__":
            factor = 10
            check({called})
    """)
    assert list(found.values()) == [[]]


@pytest.mark.parametrize(
    "guard",
    [
        'if __name__ == "__main__":',
        'if __name__ != "__main__":\n    pass\nelse:',
        'if "__main__" == __name__ and True:',
        'try:\n    raise ValueError\nexcept ValueError:\n  if __name__ == "__main__":',
    ],
)
def test_any_main_guard_ends_the_import(run: Run, guard: str) -> None:
    found = run(
        "factor = 1\nfactor = 2\ndef scale(x):\n    return factor * x\n"
        f"{guard}\n    check(scale)\n    factor = 10\n    check(scale)\n"
    )
    assert found == {"scale": ["factor"]}


def test_a_program_that_binds_each_name_at_one_place_is_run_as_it_is(run: Run) -> None:
    run("""
        factor = 1

        if __name__ == "__main__":
            check(abs)
    """)
    assert not hasattr(sys.modules["__main__"], rebound.HOOK)


def test_numbers_and_texts_of_the_same_value_are_the_same(run: Run) -> None:
    found = run("""
        text, flag, numbers = "a b", True, [1]

        def use(x):
            return text, flag, numbers

        if __name__ == "__main__":
            text = " ".join(["a", "b"])
            flag = 1
            numbers = [1]
            check(use)
    """)
    assert found == {"use": ["flag", "numbers"]}


def test_the_warning_names_all_that_is_needed(run: Run) -> None:
    run("""
        factor = 1

        def scale(x):
            return factor * x

        if __name__ == "__main__":
            factor = 10
    """)
    scale: Any = sys.modules["__main__"].scale
    with pytest.warns(RuntimeWarning, match=r"^factor has been bound anew .* scale reads it") as w:
        rebound.warn_of(scale)
    assert [Path(each.filename).name for each in w] == ["test_rebound.py"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rebound.warn_of(scale)
