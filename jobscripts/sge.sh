#!/bin/bash
# qsub -pe mpi 64 jobscripts/sge.sh prog.py arguments...
#$ -N scoop_mpi
#$ -cwd
#$ -V

# Load your MPI, and activate the virtual environment that scoop_mpi is in:
# module load python openmpi
# source venv/bin/activate

# One thread for each rank's BLAS, unless you have set it otherwise.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"

if [ $# -eq 0 ]; then
    echo "usage: qsub -pe mpi RANKS $0 prog.py [arguments]" >&2
    exit 2
fi

exec mpiexec -n "${NSLOTS:-1}" python -m scoop_mpi "$@"
