"""The state machines of a rank: what comes in, and what is to be sent.

Pure: no I/O, no clock, no greenlet, no MPI.
"""
