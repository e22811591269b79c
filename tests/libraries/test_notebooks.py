"""Notebooks under an installed kernel: their cells run on rank 0 of a job.

A driver executes each notebook by nbclient, as Jupyter would, in a process of its own. So a kernel
that hangs is found out, and what it leaves behind as well: see `tests.launch`.
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.docs.pages import read_page, steps
from tests.launch import launch, on_ranks

LIMIT = 110.0

# What a cell writes to have the driver do something to the kernel, while the cell goes on.
INTERRUPT = "now: interrupt"
SHUT_DOWN = "now: shut down"
RESTART = "%restart"  # a cell of its own

DRIVER = """
    import asyncio, json, re, sys
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import DeadKernelError
    from traitlets.config import Config

    # Jupyter would choose ports that are free, and other jobs could take them before the kernel
    # does. So there are sockets in the folder where this runs.
    WITHOUT_PORTS = Config({"KernelManager": {"transport": "ipc"}})

    class Client(NotebookClient):
        deed = None

        def process_message(self, message, cell, cell_index):
            deeds = {
                "now: interrupt": self.km.interrupt_kernel,
                "now: shut down": self.km.shutdown_kernel,
            }
            text = message["content"].get("text", "").strip()
            if message["msg_type"] == "stream" and text in deeds:
                self.deed = asyncio.ensure_future(deeds[text]())
            return super().process_message(message, cell, cell_index)

    def outcome(cell):
        found = {"text": "", "error": "", "traceback": ""}
        for output in cell.outputs:
            if output.output_type == "stream":
                found["text"] += output.text
            elif output.output_type == "execute_result":
                found["text"] += output.data["text/plain"] + "\\n"
            elif output.output_type == "error":
                found["error"] = f"{output.ename}: {output.evalue}"
                found["traceback"] = re.sub(r"\\x1b\\[[0-9;]*m", "", "\\n".join(output.traceback))
        return found

    async def main(name, cells):
        cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
        notebook = nbformat.v4.new_notebook(cells=cells)
        client = Client(
            notebook,
            kernel_name=name,
            allow_errors=True,
            timeout=60,
            startup_timeout=60,
            config=WITHOUT_PORTS,
        )
        async with client.async_setup_kernel():
            for number, cell in enumerate(cells):
                if cell.source == "%restart":
                    await client.km.restart_kernel()
                    await client.kc.wait_for_ready(timeout=60)
                    continue
                try:
                    await client.async_execute_cell(cell, number)
                except DeadKernelError:
                    await client.deed
                    break
        return [outcome(cell) for cell in cells]

    if __name__ == "__main__":
        name, source, target = sys.argv[1:]
        with open(source) as file:
            cells = json.load(file)
        outcomes = asyncio.run(main(name, cells))
        with open(target, "w") as file:
            json.dump(outcomes, file)
"""


class Outcome(NamedTuple):
    """What a cell shows: what it has printed and what its last line is, and how it failed."""

    text: str
    error: str
    traceback: str

    def check(self) -> str:
        """Return what it shows; fail if it has failed."""
        assert not self.error, self.traceback
        return self.text


class Jupyter:
    """A Jupyter that has nothing but what is in one folder.

    Args:
        folder: an empty one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.environment = {
            "JUPYTER_DATA_DIR": str(self.data),
            "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
            "JUPYTER_CONFIG_DIR": str(folder / "configuration"),
            "JUPYTER_PLATFORM_DIRS": "1",
            "IPYTHONDIR": str(folder / "ipython"),
        }
        self._driver = folder / "driver.py"
        self._driver.write_text(textwrap.dedent(DRIVER))

    def install(self, *options: str) -> str:
        """Install a kernel; return what that says."""
        run = launch("--install-kernel", *options, ranks=None, env=self.environment)
        return run.check().stdout

    def specification(self, name: str) -> Any:
        """Return what Jupyter reads of a kernel."""
        return json.loads((self.data / "kernels" / name / "kernel.json").read_text())

    def run(self, name: str, *cells: str, folder: Path | None = None) -> list[Outcome]:
        """Execute a notebook of these cells; return what they show.

        The kernel is then shut down, and with it all its processes.
        """
        source, target = self.folder / "cells.json", self.folder / "outcomes.json"
        source.write_text(json.dumps([textwrap.dedent(cell).strip() for cell in cells]))
        launch(
            *(self._driver, name, source, target),
            ranks=None,
            python=(),
            env=self.environment,
            cwd=folder or self.folder,
            timeout=LIMIT,
        ).check()
        return [Outcome(**found) for found in json.loads(target.read_text())]


@pytest.fixture
def jupyter(tmp_path: Path) -> Jupyter:
    return Jupyter(tmp_path)


@pytest.fixture
def notebook(jupyter: Jupyter, ranks: int) -> Callable[..., list[Outcome]]:
    """A function that executes cells under a kernel of so many ranks."""
    jupyter.install("-n", str(ranks))

    def run(*cells: str) -> list[Outcome]:
        return jupyter.run("scoop_mpi", *cells)

    return run


Notebook = Callable[..., list[Outcome]]


# ---------------------------------------------------------------- the manual


@on_ranks(4)
def test_the_cells_of_the_manual_show_what_it_says(ranks: int, notebook: Notebook) -> None:
    cells = [
        (step.block.text, step.output)
        for step in steps(read_page("manual/notebooks.md"))
        if step.block.language == "python"
    ]
    assert len(cells) == 3
    outcomes = notebook(*(text for text, _ in cells))
    for outcome, (_, shown) in zip(outcomes, cells, strict=True):
        assert shown is not None
        assert shown.is_printed_in(outcome.check())


# ---------------------------------------------------------------- what is installed


def test_it_says_where_the_kernel_is_and_jupyter_finds_it(jupyter: Jupyter) -> None:
    assert jupyter.install("-n", "3", "-q") == (
        f"The kernel scoop_mpi (3 ranks) was written to {jupyter.data}/kernels/scoop_mpi\n"
    )
    assert jupyter.specification("scoop_mpi") == {
        "argv": [
            *(sys.executable, "-m", "scoop_mpi", "-n", "3", "-q"),
            *("-m", "ipykernel_launcher", "-f", "{connection_file}"),
        ],
        "display_name": "scoop_mpi (3 ranks)",
        "language": "python",
        "interrupt_mode": "message",
    }


def test_it_takes_the_place_of_an_earlier_one_of_the_name_and_of_no_other(
    jupyter: Jupyter,
) -> None:
    jupyter.install("-n", "2")
    jupyter.install("-n", "3", "--name", "three")
    jupyter.install("-n", "4")
    names = [jupyter.specification(name)["display_name"] for name in ("scoop_mpi", "three")]
    assert names == ["scoop_mpi (4 ranks)", "three (3 ranks)"]


def test_a_kernel_that_is_another_s_is_left_alone(jupyter: Jupyter) -> None:
    place = jupyter.data / "kernels" / "other"
    place.mkdir(parents=True)
    text = json.dumps({"argv": ["other"], "display_name": "Other", "language": "other"})
    (place / "kernel.json").write_text(text)
    arguments = ("--install-kernel", "--name", "other")
    run = launch(*arguments, ranks=None, env=jupyter.environment).check(2)
    assert f"in {place} there is another kernel of the name other" in run.stderr
    assert (place / "kernel.json").read_text() == text


def test_a_folder_that_cannot_be_written_to(jupyter: Jupyter) -> None:
    jupyter.data.touch()
    run = launch("--install-kernel", ranks=None, env=jupyter.environment).check(2)
    assert run.stderr.startswith("scoop_mpi: --install-kernel: can't write the kernel: ")
    assert run.stderr.count("\n") == 1


def test_a_kernel_may_be_this_environments_alone(jupyter: Jupyter) -> None:
    prefix = jupyter.folder / "prefix"
    code = f"""
        import sys
        sys.prefix = {str(prefix)!r}
        from scoop_mpi.command.kernel import Kernel, install
        print(install(Kernel("here", True, 2, ()), ["-m", "scoop_mpi"]))
    """
    run = launch(
        "-c", textwrap.dedent(code), ranks=None, python=(), env=jupyter.environment
    ).check()
    place = prefix / "share" / "jupyter" / "kernels" / "here"
    assert run.stdout == f"The kernel here (2 ranks) was written to {place}\n"
    assert (place / "kernel.json").is_file()
    assert not jupyter.data.exists()


# ---------------------------------------------------------------- cells


@on_ranks(1, 3)
def test_what_cells_define_and_change_is_what_the_ranks_use(ranks: int, notebook: Notebook) -> None:
    outcomes = notebook(
        """
        import scoop_mpi
        from scoop_mpi import futures
        scoop_mpi.SIZE, scoop_mpi.IS_ORIGIN
        """,
        """
        def scale(x):
            return 2 * x

        sum(futures.map(scale, range(3000)))
        """,
        """
        def scale(x):
            return 3 * x

        sum(futures.map(scale, range(3000)))
        """,
        """
        offset = 1

        def shift(x):
            return x + offset

        set(futures.map(shift, [0] * 3000))
        """,
        """
        offset = 5
        set(futures.map(shift, [0] * 3000))
        """,
        """
        class Box:
            def __init__(self, content):
                self.content = content

            def doubled(self):
                return Box(2 * self.content)

        boxes = list(futures.map(Box.doubled, [Box(x) for x in range(500)]))
        print({type(box) is Box for box in boxes}, boxes[-1].content)
        """,
        "set(futures.map(lambda x: scale(x) + offset, [1] * 3000))",
    )
    assert [outcome.check().strip() for outcome in outcomes] == [
        f"({ranks}, True)",
        "8997000",
        "13495500",
        "{1}",
        "{5}",
        "{True} 998",
        "{8}",
    ]


@on_ranks(1, 3)
def test_an_error_in_a_task_is_shown_and_the_kernel_goes_on(ranks: int, notebook: Notebook) -> None:
    first, failed, last = notebook(
        """
        from scoop_mpi import futures

        def inverse(x):
            return 1 / x

        sum(futures.map(inverse, [1, 2, 4]))
        """,
        "list(futures.map(inverse, [*range(-500, 500)]))",
        "sum(futures.map(inverse, [1, 2] * 1000))",
    )
    assert first.check() == "1.75\n"
    assert failed.error.startswith("ZeroDivisionError: ")
    assert "line 4, in inverse" in failed.traceback
    assert last.check() == "1500.0\n"


@on_ranks(1, 3)
def test_an_interrupt_ends_a_long_map_and_the_next_is_right(ranks: int, notebook: Notebook) -> None:
    _, interrupted, last = notebook(
        """
        import time
        from scoop_mpi import futures

        def slow(x):
            time.sleep(0.001)
            return x
        """,
        f"""
        for x in futures.map(slow, range(10**6)):
            if x == 20:
                print("{INTERRUPT}", flush=True)
        """,
        "sum(futures.map(slow, range(200)))",
    )
    assert interrupted.text.strip() == INTERRUPT
    assert interrupted.error.startswith("KeyboardInterrupt")
    assert last.check() == "19900\n"


@on_ranks(1, 3)
def test_a_cell_that_sets_a_constant_can_be_run_again(ranks: int, notebook: Notebook) -> None:
    cell = """
        import numpy as np
        from scoop_mpi import futures, shared

        def call(x):
            return x + 0.5

        shared.setConst(table=np.arange(300_000.0), scale=2, call=call)
    """
    read = """
        def entry(x):
            return shared.getConst("call")(shared.getConst("table")[x] * shared.getConst("scale"))

        float(sum(futures.map(entry, range(1000))))
    """
    *outcomes, refused, deleted = notebook(
        cell,
        read,
        cell,
        read,
        "shared.setConst(scale=3)",
        f"""
        shared.delConst("scale")
        shared.setConst(scale=3)
        {textwrap.dedent(read).strip().splitlines()[-1]}
        """,
    )
    assert [outcome.check() for outcome in outcomes] == ["", "999500.0\n", "", "999500.0\n"]
    assert refused.error == (
        "TypeError: This constant already exists: scale, with another value. To give it this one, "
        "delete it first: shared.delConst('scale')"
    )
    assert deleted.check() == "1499000.0\n"


@on_ranks(1, 3)
def test_tasks_of_cells_start_tasks_and_executors_are_awaited(
    ranks: int, notebook: Notebook
) -> None:
    nested, awaited = notebook(
        """
        from scoop_mpi import MPIPoolExecutor, futures

        def leaves(depth):
            if depth == 0:
                return 1
            return sum(futures.map(leaves, [depth - 1] * 3))

        futures.submit(leaves, 6).result()
        """,
        """
        import asyncio

        async def gathered():
            loop = asyncio.get_running_loop()
            with MPIPoolExecutor() as executor:
                calls = [loop.run_in_executor(executor, leaves, depth) for depth in range(5)]
                return await asyncio.gather(*calls)

        await gathered()
        """,
    )
    assert nested.check() == "729\n"
    assert awaited.check() == "[1, 3, 9, 27, 81]\n"


@on_ranks(1, 3)
def test_after_a_restart_nothing_is_left_of_before(ranks: int, notebook: Notebook) -> None:
    before, _, after, again = notebook(
        """
        from scoop_mpi import futures, shared
        shared.setConst(number=1)
        answer = 42
        set(futures.map(lambda x: shared.getConst("number"), range(1000)))
        """,
        RESTART,
        """
        from scoop_mpi import futures, shared
        shared.getConst("number", timeout=0), "answer" in globals()
        """,
        """
        shared.setConst(number=2)
        set(futures.map(lambda x: shared.getConst("number"), range(1000)))
        """,
    )
    assert before.check() == "{1}\n"
    assert after.check() == "(None, False)\n"
    assert again.check() == "{2}\n"


@on_ranks(3)
def test_a_module_beside_the_notebook_is_there_on_all_ranks(
    ranks: int, jupyter: Jupyter, tmp_path: Path
) -> None:
    jupyter.install("-n", str(ranks))
    folder = tmp_path / "notebooks"
    folder.mkdir()
    (folder / "beside.py").write_text("def square(x):\n    return x * x\n")
    cell = """
        import beside
        from scoop_mpi import futures

        sum(futures.map(beside.square, range(3000)))
    """
    (outcome,) = jupyter.run("scoop_mpi", cell, folder=folder)
    assert outcome.check() == f"{sum(x * x for x in range(3000))}\n"


@on_ranks(1, 3)
def test_a_kernel_that_is_shut_down_while_a_cell_runs_leaves_no_process(
    ranks: int, notebook: Notebook
) -> None:
    cell = f"""
        import time
        from scoop_mpi import futures

        def slow(x):
            time.sleep(0.001)
            return x

        for x in futures.map(slow, range(10**6)):
            if x == 20:
                print("{SHUT_DOWN}", flush=True)
    """
    (outcome,) = notebook(cell)
    assert outcome.text.strip() == SHUT_DOWN


def test_a_notebook_of_another_kernel_is_told_which_one_to_choose(jupyter: Jupyter) -> None:
    (outcome,) = jupyter.run("python3", "from scoop_mpi import futures; futures.submit(abs, -1)")
    assert outcome.error.startswith("NotStartedProperly: scoop_mpi is not running")
    assert "python -m scoop_mpi --install-kernel -n 4" in outcome.error
