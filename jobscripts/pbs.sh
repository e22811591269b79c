#!/bin/bash
# qsub -l select=64 -v PROGRAM="prog.py arguments..." jobscripts/pbs.sh
#PBS -N scoop_mpi

cd "${PBS_O_WORKDIR:-.}" || exit 1

# Load your MPI, and activate the virtual environment that scoop_mpi is in:
# module load python openmpi
# source venv/bin/activate

# One thread for each rank's BLAS, unless you have set it otherwise.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"

if [ -z "${PROGRAM:-}" ]; then
    echo 'usage: qsub -l select=RANKS -v PROGRAM="prog.py [arguments]" '"$0" >&2
    exit 2
fi

# PBS hands a job script no arguments, so they come as one string, to be split at blanks.
read -r -a words <<< "$PROGRAM"
exec mpiexec -n "$(wc -l < "${PBS_NODEFILE:?not within a PBS job}")" python -m scoop_mpi "${words[@]}"
