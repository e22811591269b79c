"""Measurements of scoop_mpi beside its peers: `python -m benchmarks`. Not installed.

cli              the command line
case  cases      what is measured: of whom, on how much work, and with what goal
runner           starts the jobs, each contestant in turn, and collects what they measured
  launcher         a process or an MPI job, with a time limit
  job              such a process, which measures one thing for one contestant
    peers            the contestants, behind one interface
    measurements     what is measured, written against that interface
    raw              without a pool: mpi4py alone, processes that only compute, plain Python
    workloads        the functions that are the tasks; nested, those that use scoop_mpi
cluster          the same within a job that is there already: under srun, say
timing  stats    calibrated loops; quantiles, METG
records          what has been measured, as JSON
report  plots    the table, and the pictures
"""
