#!/bin/bash
# bsub -n 64 jobscripts/lsf.sh prog.py arguments...
#   or SCOOP_MPI_PROGRAM="prog.py arguments..." bsub -n 64 < jobscripts/lsf.sh
#BSUB -J scoop_mpi

: "${LSB_MCPU_HOSTS:?not within an LSF job}"

# LSF runs the original of this script, but a copy of one that came by standard input.
for here in "${SCOOP_MPI_JOBSCRIPTS:-}" "$(dirname "$0")" "${LS_SUBCWD:-.}/jobscripts" "${LS_SUBCWD:-.}"; do
    [ ! -e "$here/common.sh" ] || break
done
# shellcheck source=common.sh source-path=SCRIPTDIR
. "$here/common.sh" || { echo "$0: set SCOOP_MPI_JOBSCRIPTS to the directory of common.sh" >&2; exit 2; }

# A host and its slots, the next host and its slots, ...: a line for each.
hosts=$(xargs -n 2 <<< "$LSB_MCPU_HOSTS")

# IBM's launcher, for IBM's MPI. This script then runs on a launch node, which comes first, with a slot that isn't for ranks.
if [ "$mpi" = spectrum ] && command -v jsrun > /dev/null; then
    ranks=$(awk 'NR > 1 || $2 > 1 { n += $2 } END { print n ? n : 1 }' <<< "$hosts")
    become jsrun -n "${SCOOP_MPI_RANKS:-$ranks}" -a 1 -c "${OMP_NUM_THREADS%%,*}" "${command[@]}"
fi
start_on "$hosts"
