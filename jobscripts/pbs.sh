#!/bin/bash
# OpenPBS, PBS Professional:  qsub -l select=2:ncpus=32:mpiprocs=32 -- "$PWD/jobscripts/pbs.sh" prog.py arguments...
#   or                        qsub -l select=2:ncpus=32:mpiprocs=32 -v SCOOP_MPI_PROGRAM="prog.py arguments..." jobscripts/pbs.sh
# Torque:                     qsub -l nodes=2:ppn=32 -F "prog.py arguments..." jobscripts/pbs.sh
#PBS -S /bin/bash
#PBS -N scoop_mpi
#PBS -j oe
#PBS -V

: "${PBS_NODEFILE:?not within a PBS job}"
cd "$PBS_O_WORKDIR" || exit 2

# PBS runs a copy of this script and doesn't tell where the original is; after `--` it runs the original.
for here in "${SCOOP_MPI_JOBSCRIPTS:-}" "$(dirname "$0")" "$PBS_O_WORKDIR/jobscripts" "$PBS_O_WORKDIR"; do
    [ ! -e "$here/common.sh" ] || break
done
# shellcheck source=common.sh source-path=SCRIPTDIR
. "$here/common.sh" || { echo "$0: set SCOOP_MPI_JOBSCRIPTS to the directory of common.sh" >&2; exit 2; }

# A line for each rank: its host.
start_on "$(cat "$PBS_NODEFILE")"
