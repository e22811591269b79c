#!/bin/bash
# qsub -pe mpi 64 jobscripts/sge.sh prog.py arguments...     ("mpi": your site's parallel environment; qconf -spl lists them)
#$ -S /bin/bash
#$ -N scoop_mpi
#$ -cwd
#$ -V
#$ -j y

: "${JOB_ID:?not within a Grid Engine job}"

# Grid Engine runs a copy of this script, and knows where the original is, as qsub was told, if this host may ask it.
original=$(qstat -j "$JOB_ID" 2> /dev/null | sed -n 's/^script_file: *//p')
case $original in
    /*) ;;
    *) original=$SGE_O_WORKDIR/$original ;;
esac
for here in "${SCOOP_MPI_JOBSCRIPTS:-}" "$(dirname "$0")" "${original%/*}" "$SGE_O_WORKDIR/jobscripts"; do
    [ ! -e "$here/common.sh" ] || break
done
# shellcheck source=common.sh source-path=SCRIPTDIR
. "$here/common.sh" || { echo "$0: set SCOOP_MPI_JOBSCRIPTS to the directory of common.sh" >&2; exit 2; }

# Without a parallel environment: one rank, here. Else lines of a host, its slots, and more; a host may come once per queue.
if [ -n "${PE_HOSTFILE:-}" ]; then
    start_on "$(cat "$PE_HOSTFILE")"
else
    start_on "$(hostname) 1"
fi
