#!/usr/bin/env bash
# A TPU slice (v5e-8, v6e-8): the published batch spread over its chips.
#   pip install 'jidcl[cli,plots,tpu]'
#   experiments/launch/tpu_slice.sh [PRESET] [--FIELD VALUE ...]
# A slice of several hosts, or several machines under SLURM: run it on each with
# HOSTS=auto, the numbers of all devices, and ROOT on a disk that all of them reach.
set -euo pipefail
preset=${1:-published/t1r3}
[ $# -gt 0 ] && shift
exec jidcl train "$preset" --seeds "${SEEDS:-2}" --root "${ROOT:-runs}" \
  --devices.seed "${SEED_DEVICES:-2}" --devices.data "${DATA_DEVICES:-4}" \
  --devices.hosts "${HOSTS:-one}" "$@"
