#!/usr/bin/env bash
# One GPU: eight seeds of a published row as one batched program, resumed after a kill.
#   pip install 'jidcl[cli,plots,cuda]'
#   experiments/launch/one_gpu.sh [PRESET] [--FIELD VALUE ...]
set -euo pipefail
preset=${1:-full/t1r3}
[ $# -gt 0 ] && shift
exec jidcl train "$preset" --seeds "${SEEDS:-8}" --root "${ROOT:-runs}" "$@"
