# shellcheck shell=bash
# What the job scripts have in common. They source it, from the directory $here, and it sees their arguments.
#
# It loads modules, activates the virtual environment, caps the threads of each rank, and sets
#   command   what each rank runs: python -m scoop_mpi, the program, its arguments
#   mpi       mpich, openmpi, intelmpi, mvapich, craympich, spectrum or nothing: which MPI mpi4py uses
#   mpiexec   the mpiexec of that MPI

# ---- Edit here, if you like: it holds for all job scripts --------------------------------------------------------------------
# SCOOP_MPI_MODULES="python openmpi"
# SCOOP_MPI_VENV=$HOME/venv
# ------------------------------------------------------------------------------------------------------------------------------

: "${here:?is the directory of the job scripts}"

drained=75 # the status of a job that has drained: it is to be started again

fail() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 2
}

# Modules that were loaded at submission are here already, in the environment, where the scheduler passes it on.
if [ -n "${SCOOP_MPI_MODULES:-}" ]; then
    for file in /etc/profile.d/{modules,lmod,z00_lmod}.sh; do
        # shellcheck source=/dev/null
        if ! command -v module > /dev/null && [ -r "$file" ]; then . "$file"; fi
    done
    # Several words, on purpose.
    # shellcheck disable=SC2086
    module load $SCOOP_MPI_MODULES || fail "can't load the modules '$SCOOP_MPI_MODULES'"
fi

# The one that was active at submission, unless told otherwise.
environment=${SCOOP_MPI_VENV:-${VIRTUAL_ENV:-${CONDA_PREFIX:-}}}
if [ -n "$environment" ]; then
    [ -x "$environment/bin/python" ] || fail "there is no $environment/bin/python on $(hostname): set SCOOP_MPI_VENV"
    # This is what its bin/activate does, for what isn't an interactive shell.
    export PATH="$environment/bin:$PATH"
    [ -z "${SCOOP_MPI_VENV:-}" ] || export VIRTUAL_ENV=$environment
fi
python=$(command -v python || command -v python3) || fail "there is no python: set SCOOP_MPI_VENV or SCOOP_MPI_MODULES"

# One thread for each CPU that a rank was given. numpy's libraries would else take all of the node's for each rank.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-${SLURM_CPUS_PER_TASK:-1}}
# OpenBLAS, MKL, BLIS and numexpr go by it, as long as they aren't told otherwise; numba doesn't. It may be a list, for nested
# regions; numba takes one number.
export NUMBA_NUM_THREADS=${NUMBA_NUM_THREADS:-${OMP_NUM_THREADS%%,*}}

if [ "${SLURM_NTASKS:-1}" = 1 ] && [ "${SLURM_CPUS_PER_TASK:-1}" -gt 1 ]; then
    printf '%s: one task, so there is one rank. For %s ranks: sbatch -n %s\n' \
        "${0##*/}" "$SLURM_CPUS_PER_TASK" "$SLURM_CPUS_PER_TASK" >&2
fi

# All ranks have the same hash() of a text. Where nobody says how, each would start itself again for that.
export PYTHONHASHSEED=${PYTHONHASHSEED:-0}

# Where a scheduler passes no arguments, the command line comes in a variable, quoted as for a shell.
words=("$@")
if [ $# -eq 0 ] && [ -n "${SCOOP_MPI_PROGRAM:-}" ]; then
    # xargs knows quotes and backslashes, but expands nothing.
    mapfile -d '' -t words < <(xargs printf '%s\0' <<< "$SCOOP_MPI_PROGRAM")
    [ ${#words[@]} -gt 0 ] || fail "can't understand SCOOP_MPI_PROGRAM='$SCOOP_MPI_PROGRAM'"
fi
if [ ${#words[@]} -eq 0 ]; then
    words=("$here/../examples/pi_calc.py")
    [ -e "${words[0]}" ] || fail "no program was given, and there is no example ${words[0]} to run instead"
fi
# Launchers take a colon among the arguments for the end of a program.
for word in "${words[@]}"; do
    if [ "$word" = : ]; then
        line=$("$python" -c 'import shlex, sys; print(shlex.join(sys.argv[1:]))' "${words[@]}")
        words=("--line=$line")
        break
    fi
done
command=("$python" -m scoop_mpi "${words[@]}")

found=$("$python" "$here/find_mpi.py") || fail "$python can't load mpi4py and its MPI: set SCOOP_MPI_VENV or SCOOP_MPI_MODULES"
{ read -r mpi && read -r mpiexec; } <<< "$found"

# start_on HOSTS: start a rank for each slot of the hosts, or SCOOP_MPI_RANKS of them. HOSTS is lines of a host, its number of
# slots (1 if it isn't given), and whatever; a host may come several times.
start_on() {
    local list options
    # host:slots,host:slots... and the number of all slots
    list=$(awk 'NF { if (!($1 in slots)) names[++hosts] = $1
                     n = NF > 1 ? $2 : 1; slots[$1] += n; all += n }
                END { for (i = 1; i <= hosts; i++) printf "%s%s:%d", (i > 1 ? "," : ""), names[i], slots[names[i]]
                      print " " all }' <<< "$1")
    options=(-n "${SCOOP_MPI_RANKS:-${list##* }}")
    # MPICH and its relatives ask the scheduler for the hosts; Open MPI does so only if built with the scheduler's library.
    [ "$mpi" != openmpi ] || options+=(--host "${list% *}")
    become_mpiexec "${options[@]}"
}

# become_mpiexec OPTIONS...: see `become`.
become_mpiexec() {
    [ -n "$mpiexec" ] || fail "there is no mpiexec for ${mpi:-the MPI of mpi4py}, neither beside its library nor on PATH"
    become "$mpiexec" "$@" "${command[@]}"
}

# become LAUNCHER...: replace this shell by the launcher. So signals reach it, and its status is the job's.
# With SCOOP_MPI_REQUEUE, wait for it instead, and if the job has drained, have the scheduler start it again.
become() {
    [ -n "${SCOOP_MPI_REQUEUE:-}" ] || exec "$@"
    local launcher status again signal
    "$@" &
    launcher=$!
    for signal in INT TERM USR1 USR2; do
        # shellcheck disable=SC2064
        trap "kill -$signal $launcher 2> /dev/null" "$signal"
    done
    wait "$launcher"
    status=$?
    # A signal that is trapped ends the wait, and not the launcher.
    while [ "$status" -gt 128 ]; do
        wait "$launcher"
        again=$?
        [ "$again" != 127 ] || break # it had ended, and that was its status
        [ "$again" != "$status" ] || kill -0 "$launcher" 2> /dev/null || break
        status=$again
    done
    [ "$status" = "$drained" ] || exit "$status"
    if [ -n "${SLURM_JOB_ID:-}" ]; then
        exec scontrol requeue "$SLURM_JOB_ID"
    elif [ -n "${PBS_JOBID:-}" ]; then
        exec qrerun "$PBS_JOBID"
    elif [ -n "${LSB_JOBID:-}" ]; then
        exec brequeue "$LSB_JOBID"
    fi
    exit 99 # by which Grid Engine knows that it is to start the job again
}
