"""What a command line says, and what follows from it.

Nothing here needs MPI, but for `info`.
"""
