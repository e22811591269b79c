"""``python -m scoop_mpi prog.py``."""

import sys

from scoop_mpi.cli import main

sys.exit(main())
