"""``python -m scoop_mpi prog.py``, or ``scoop_mpi prog.py``."""

# PYTHON_ARGCOMPLETE_OK: argcomplete looks for these words before it asks, see `completion`.

import os
import sys

from scoop_mpi.launch import hash_seed


def main() -> int:
    """Do what the command line asks for; return the exit status."""
    if "_ARGCOMPLETE" in os.environ:  # a shell asks how the line may go on
        from scoop_mpi.command import completion

        completion.answer()
    hash_seed.agree()  # before anything else is imported: it may start Python again
    import signal

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Ctrl-C ends this process, without a traceback of ours, until the program is there for it.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from scoop_mpi.system import garbage

    garbage.rest()
    from scoop_mpi.command import cli

    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
