#!/bin/bash
# sbatch -n 64 jobscripts/slurm.sh prog.py arguments...
#SBATCH --job-name=scoop_mpi

# Load your MPI, and activate the virtual environment that scoop_mpi is in:
# module load python openmpi
# source venv/bin/activate

# One thread for each rank's BLAS, unless you have set it otherwise.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"

if [ $# -eq 0 ]; then
    echo "usage: sbatch -n RANKS $0 prog.py [arguments]" >&2
    exit 2
fi

# srun must speak the protocol of the MPI that mpi4py uses.
if python -c 'import sys; from mpi4py import rc; rc.initialize = False; from mpi4py import MPI; sys.exit("Open MPI" not in MPI.Get_library_version())'; then
    plugin=pmix
else
    plugin=pmi2
fi
exec srun --mpi="$plugin" python -m scoop_mpi "$@"
