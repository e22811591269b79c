#!/bin/bash
# sbatch -n 64 jobscripts/slurm.sh prog.py arguments...
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

# srun must speak the protocol that this MPI knows, or it starts ranks that don't find each other.
case $mpi in
    openmpi | spectrum) plugin=pmix ;;
    craympich) plugin=cray_shasta ;;
    *) plugin=pmi2 ;;
esac
plugin=${SLURM_MPI_TYPE:-$plugin}
srun --mpi=list 2>&1 | grep -qw "$plugin" ||
    fail "this Slurm has no MPI plugin $plugin, which ${mpi:-this MPI} needs: use slurm_mpiexec.sh, or set SLURM_MPI_TYPE"

# Else Open MPI complains that it can't use Slurm's way to prove who asks, where its PMIx was built without munge.
export PMIX_MCA_psec=${PMIX_MCA_psec:-native}
# srun doesn't take this over from sbatch any more.
[ -z "${SLURM_CPUS_PER_TASK:-}" ] || export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK
# When the time is up, for --stop-before; newer versions of Slurm say it themselves.
end=${SLURM_JOB_END_TIME:-$(date --date="$(squeue --noheader --job="$SLURM_JOB_ID" --format=%e)" +%s 2> /dev/null)}
[ -z "$end" ] || export SCOOP_MPI_END_TIME=${SCOOP_MPI_END_TIME:-$end}
# If a rank dies, the others would wait for it.
become srun --mpi="$plugin" --kill-on-bad-exit=1 "${command[@]}"
