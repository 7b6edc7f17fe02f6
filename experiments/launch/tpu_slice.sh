#!/usr/bin/env bash
# A TPU slice of one host (v5e-8, v6e-8): the published batch spread over its chips.
#   pip install 'jidcl[cli,plots,tpu]'
#   experiments/launch/tpu_slice.sh [PRESET] [--FIELD VALUE ...]
# Slices of several hosts are not supported yet: checkpoints and records assume that
# one process sees all devices.
set -euo pipefail
preset=${1:-published/t1r3}
[ $# -gt 0 ] && shift
exec jidcl train "$preset" --seeds "${SEEDS:-2}" --root "${ROOT:-runs}" \
  --devices.seed "${SEED_DEVICES:-2}" --devices.data "${DATA_DEVICES:-4}" "$@"
