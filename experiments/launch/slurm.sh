#!/usr/bin/env bash
#SBATCH --job-name=jidcl
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:TERM@120
# One GPU under SLURM: a job that runs out of time or is preempted saves, ends with 143
# and is queued again; it then goes on from its checkpoint.
#   pip install 'jidcl[cli,plots,cuda]'
#   sbatch --gres=gpu:1 --time=4:00:00 experiments/launch/slurm.sh [PRESET] [--FIELD ...]
# 120 s before the end SLURM sends SIGTERM to this script, which passes it on.
set -uo pipefail
preset=${1:-full/t1r3}
[ $# -gt 0 ] && shift
asked=0
srun jidcl train "$preset" --seeds "${SEEDS:-8}" --root "${ROOT:-runs}" "$@" &
child=$!
trap 'asked=1; kill -TERM "$child"' TERM
wait "$child"
code=$?
while [ "$asked" = 1 ]; do # the trap ended the wait, not the run
  asked=0
  wait "$child"
  code=$?
done
[ "$code" = 143 ] && scontrol requeue "$SLURM_JOB_ID"
exit "$code"
