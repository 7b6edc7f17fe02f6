#!/usr/bin/env bash
# Everything worth measuring on one accelerator, in pieces of at most ten minutes. Run
# again, it leaves out what is done and goes on with runs that were stopped; a timing that
# was stopped starts anew:
#   pip install 'jidcl[cli,plots,cuda,bench]' inf-cl
#   benchmarks/accelerator.sh [OUT] [PIECE ...]
# What to run first are two calls of at most six minutes, which need no extra `cli`; again
# if they say so (SECONDS_OF_A_CALL, 345; TINY=1: dry, on a CPU):
#   benchmarks/accelerator.sh OUT first
#   benchmarks/accelerator.sh OUT second
# Pieces that time, with nothing beside them: wide losses steps tiles million small
# growth scenes. Pieces that train, side by side, JOBS runs at once (one a core): rows
# supervised figure2 study anisotropic pictures. All by default, in this order.
# Results land in OUT/PIECE (default benchmarks/results/accelerator), runs in OUT/runs.
set -uo pipefail
out=${1:-benchmarks/results/accelerator}
[ $# -gt 0 ] && shift
here=$(dirname "$0")
core() { # PIECE or call, SECONDS: rows that need no more than the core
  timeout --signal=KILL $(($2 + 15)) \
    python3 "$here/accelerator.py" "$out" "$1" --seconds "$2" ${TINY:+--tiny}
}
case "${1:-}" in
  first | second) core "$1" "${SECONDS_OF_A_CALL:-345}"; exit ;;
esac
timed="wide losses steps tiles million small growth scenes"
pieces=${*:-$timed rows supervised figure2 study anisotropic pictures}
mkdir -p "$out/log"
# Trying every way to multiply takes 50 s a program on an H100, the library's own choice
# six; and processes that share a device must not each take all of its memory.
export XLA_FLAGS="${XLA_FLAGS:-} --xla_gpu_enable_triton_gemm=false --xla_gpu_autotune_level=0"
export XLA_PYTHON_CLIENT_PREALLOCATE=${XLA_PYTHON_CLIENT_PREALLOCATE:-false}
jidcl="python3 -m jidcl.cli"
full="$jidcl verify --budget full --root $out/runs"

suite() { # NAME ARGS...: nothing if it is done
  local name=$1
  shift
  [ -e "$out/$name/results.json" ] ||
    timeout --signal=INT "${LIMIT:-600}" $jidcl bench --out "$out/$name" "$@" ||
    echo "== $name: stopped or failed ($?)"
}
wide() { core wide "${LIMIT:-600}"; }
losses() { suite losses --suites losses; }
steps() { suite steps --suites steps --similarities p=1; }
tiles() { suite tiles --suites tiles --similarities p=1 dot --no-peer; }
million() { core million "${LIMIT:-600}"; }
small() { suite small --suites small; }
growth() { suite growth --suites growth --batch 16384; }
scenes() { core scenes "${LIMIT:-600}"; }

# Each of these prints commands.
rows() {
  for row in t1r1 t1r2 t1r3 t1r4 t1r9 t1r10 t1r5 t1r6 t1r7 t1r8 t1r11 t1r12 \
    t2r1 t2r2 t2r3 t2r4 t2r5 t2r6 t2r7; do
    echo "$full --rows $row --seeds 5"
  done
}
supervised() {
  for row in t1r1 t1r5 t1r9 t1r11 t1r12 t2r1 t2r6; do
    echo "$full --rows $row-supervised --seeds 5"
  done
}
figure2() {
  echo "$jidcl sweep full/f2s1 --seeds 3 --root $out/figure2 --set steps=2000 --grid" \
    "marginal_param=10,5,3,2,1.5,1,0.7,0.5,0.3,0.2,0.1,0.05,0.02"
}
study() {
  for row in t1r3 t2r6; do
    for arm in "preset: muon, early tau, late batch" "no early tau" "no late batch" \
      "neither" "6 x the batch, a quarter of the steps" "float32 products" "he_normal" \
      "fan_in_uniform" "adam 1e-3"; do
      echo "python3 experiments/time_to_score.py --rows $row --arms '$arm'" \
        "--root $out/study"
    done
  done
}
anisotropic() {
  for row in linear-mcc bimodal-mcc; do
    echo "$full --system anisotropic --rows $row --seeds 5"
  done
}
pictures() {
  for row in t4r1 t4r2 t4r3 t4r4 t4r5 t4-supervised; do
    echo "$full --system scenes --rows $row --seeds 1"
  done
  for row in colour crop-large crop-small crop-large-colour crop-small-colour \
    rotation rotation-colour lt-hues lt-positions lt-positions-hues lt-rotations \
    lt-rotations-hues; do
    echo "$full --system causal3d --rows $row-class --seeds 1"
  done
  for row in sprites-mlp sprites-cnn shapes3d-mlp shapes3d-cnn; do
    echo "$full --system dislib --rows $row-shape --seeds 3"
  done
}

trained=
for piece in $pieces; do
  case " $timed " in
    *" $piece "*) echo "== $piece"; $piece ;;
    *) trained="$trained $piece" ;;
  esac
done
number=0
for piece in $trained; do $piece; done | while read -r command; do
  number=$((number + 1))
  log="$out/log/$(printf %03d "$number").txt"
  echo "echo \"\$(date +%T) $command\"; $command >$log 2>&1; code=\$?;" \
    "echo \"\$(date +%T) done \$code: $command\"; exit \$code"
done | timeout --signal=INT "${LIMIT:-600}" xargs -d '\n' -P "${JOBS:-$(nproc)}" -I{} sh -c '{}'
