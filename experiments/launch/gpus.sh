#!/usr/bin/env bash
# Several GPUs of one machine: seeds over one mesh axis, every batch over the other.
#   pip install 'jidcl[cli,plots,cuda]'
#   SEED_DEVICES=2 DATA_DEVICES=4 experiments/launch/gpus.sh [PRESET] [--FIELD VALUE ...]
# SEED_DEVICES must divide the seeds, DATA_DEVICES the batch. Independent seeds need no
# communication: spread them first.
set -euo pipefail
preset=${1:-full/t1r3}
[ $# -gt 0 ] && shift
exec jidcl train "$preset" --seeds "${SEEDS:-8}" --root "${ROOT:-runs}" \
  --devices.seed "${SEED_DEVICES:-8}" --devices.data "${DATA_DEVICES:-1}" "$@"
