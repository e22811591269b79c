"""Libraries of others on scoop_mpi's executor, pool and joblib backend.

They are heavy, so these tests run where they are asked for: `pytest tests/libraries`, in an
environment with the extra `libraries`.
"""
