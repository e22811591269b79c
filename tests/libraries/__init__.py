"""Others' libraries on scoop_mpi's executor, pool and joblib backend; notebooks on its kernel.

They are heavy, so these tests run where they are asked for: `pytest tests/libraries`, in an
environment with the extra `libraries`. They also bring IPython, which the prompt of ``-i`` would
take, so that the tests of Python's own prompt would be skipped.
"""
