"""Measurements of scoop_mpi beside its peers: `python -m benchmarks`. Not installed.

cli              the command line
cases            what is measured, on how much work, and with what goal
runner           starts the jobs, each contestant in turn, and collects what they measured
  job              a process that measures one thing for one contestant
    peers            the contestants, behind one interface
    measurements     what is measured, written against that interface
    raw              the same without any pool: mpi4py alone, two processes, the plain call
    workloads        the functions that are the tasks
cluster          the same within a job that is there already: under srun, say
timing  stats    calibrated loops, quantiles, METG
records          what a job has measured, as JSON
report  plots    the table, and the pictures
"""
