"""The tests, and what they share: `tests.launch` runs programs under mpiexec."""
