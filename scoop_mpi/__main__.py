"""``python -m scoop_mpi prog.py``, or ``scoop_mpi prog.py``."""

import sys

from scoop_mpi import hash_seed


def main() -> int:
    """Do what the command line asks for; return the exit status."""
    hash_seed.agree()  # before anything else is imported: it may start Python again
    from scoop_mpi import cli

    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
