"""``import scoop`` in a process that a rank has started, as `multiprocessing` and loky start them.

Such a process imports the program anew. It has its parent's `sys.path`, where the ranks have put
this file's folder, but not what its parent has in `sys.modules`.
"""

from scoop_mpi.job import scoop_alias

scoop_alias.install()
