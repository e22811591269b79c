#!/bin/bash
# sbatch -n 64 jobscripts/slurm_mpiexec.sh prog.py arguments...
# For where srun doesn't know the protocol of your MPI: the MPI's own mpiexec starts the ranks.
#SBATCH --job-name=scoop_mpi

: "${SLURM_JOB_ID:?not within a Slurm job}"

# Slurm runs a copy of this script, but knows where the original is, beside common.sh.
original=$(squeue --noheader --job="$SLURM_JOB_ID" --format=%o)
original=${original%" $*"}
for here in "${SCOOP_MPI_JOBSCRIPTS:-}" "$(dirname "$0")" "${original%/*}" "$SLURM_SUBMIT_DIR/jobscripts"; do
    [ ! -e "$here/common.sh" ] || break
done
# shellcheck source=common.sh source-path=SCRIPTDIR
. "$here/common.sh" || { echo "$0: set SCOOP_MPI_JOBSCRIPTS to the directory of common.sh" >&2; exit 2; }

# MPICH and Open MPI both ask Slurm for the nodes, and start their daemons there with srun.
become_mpiexec -n "${SLURM_NTASKS:-${SLURM_NNODES:-1}}"
