"""``--install-kernel``: a kernel for Jupyter whose cells run on rank 0 of a job.

Jupyter starts a kernel by a command, which a folder of its own tells it. The command is ours, and
its program IPython's kernel. So rank 0 is what Jupyter talks to, and the others work for it:

    Jupyter   --->   python -m scoop_mpi -n 4 -m ipykernel_launcher -f FILE   --->   the ranks

An interrupt comes as a message, which rank 0 gets itself, on whichever host that is.
"""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from scoop_mpi.errors import StartError

NAME = "scoop_mpi"
_PACKAGES = ("ipykernel", "jupyter_client.kernelspec")


class Kernel(NamedTuple):
    """A kernel that is to be installed.

    Attributes:
        name: by which Jupyter knows it.
        is_for_environment: whether it is for the Jupyter of this Python environment alone; else for
            every one that this user starts.
        ranks: how many; None: as many as there is room for, when it starts.
        options: of the command line, for its job.
    """

    name: str
    is_for_environment: bool
    ranks: int | None
    options: tuple[str, ...]

    @property
    def title(self) -> str:
        """What Jupyter's menus call it."""
        if self.ranks is None:
            return self.name
        return f"{self.name} ({self.ranks} {'rank' if self.ranks == 1 else 'ranks'})"


def specification(kernel: Kernel, before: Sequence[str]) -> dict[str, Any]:
    """Return what ``kernel.json`` is to say.

    Args:
        kernel: the kernel.
        before: what stands between Python and our options.
    """
    program = ("-m", "ipykernel_launcher", "-f", "{connection_file}")
    return {
        "argv": [sys.executable, *before, *kernel.options, *program],
        "display_name": kernel.title,
        "language": "python",
        "interrupt_mode": "message",
    }


def install(kernel: Kernel, before: Sequence[str]) -> str:
    """Install a kernel, in place of an earlier one of ours; return a line that says where it is.

    Args:
        kernel: the kernel.
        before: what stands between Python and our options.

    Raises:
        StartError: Jupyter's packages are missing; the name is taken; the files can't be written.
    """
    kernelspec = _jupyter()
    manager = kernelspec.KernelSpecManager()
    try:
        present = manager.get_kernel_spec(kernel.name)
    except kernelspec.NoSuchKernel:
        present = None
    if present is not None and "scoop_mpi" not in present.argv:
        raise StartError(
            f"--install-kernel: in {present.resource_dir} there is another kernel of the name "
            f"{kernel.name}. Choose a name: --name NAME"
        )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / kernel.name  # others may read it, unlike the one that it is in
        folder.mkdir()
        text = json.dumps(specification(kernel, before), indent=1)
        (folder / "kernel.json").write_text(f"{text}\n", encoding="utf-8")
        try:
            place = manager.install_kernel_spec(
                str(folder),
                kernel.name,
                user=not kernel.is_for_environment,
                prefix=sys.prefix if kernel.is_for_environment else None,
            )
        except OSError as error:
            raise StartError(f"--install-kernel: can't write the kernel: {error}") from error
    return f"The kernel {kernel.title} was written to {place}"


def _jupyter() -> Any:
    """Return the module that manages kernels.

    Raises:
        StartError: it can't be imported, or the kernel that is to run can't.
    """
    try:
        *_, kernelspec = map(importlib.import_module, _PACKAGES)
    except ImportError as error:
        raise StartError(
            f"--install-kernel: {sys.executable} lacks what a kernel needs ({error}). Install it: "
            "pip install 'scoop_mpi[notebook]'"
        ) from error
    return kernelspec
