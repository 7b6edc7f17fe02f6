#!/usr/bin/env bash
# Everything worth measuring on one accelerator, in pieces of at most ten minutes that go
# on where they stopped:
#   pip install 'jidcl[cli,plots,cuda,bench]'; benchmarks/accelerator.sh [OUT]
# Results land in OUT/PIECE (default benchmarks/results/accelerator), runs in OUT/runs.
set -uo pipefail
out=${1:-benchmarks/results/accelerator}
mkdir -p "$out"
piece() { # NAME COMMAND...: at most ten minutes; a failure does not stop the others
  local name=$1
  shift
  echo "== $name: $*"
  timeout --signal=INT 600 "$@" || echo "== $name: stopped or failed ($?)"
}
bench() { # NAME ARGS...
  local name=$1
  shift
  [ -e "$out/$name/results.json" ] || piece "$name" jidcl bench --out "$out/$name" "$@"
}

bench published --suites losses steps small
bench wide --suites losses --batch 65536 --n 128 --similarities dot
bench growth --suites growth --batch 16384
bench million --suites losses --batch 1048576 --n 10 --similarities dot p=2 \
  --repeats 1 --no-peer
for row in t1r1 t1r2 t1r3 t1r4 t1r5 t1r6 t1r7 t1r8 t1r9 t1r10 t1r11 t1r12 \
  t2r1 t2r2 t2r3 t2r4 t2r5 t2r6 t2r7; do
  piece "$row" jidcl verify --budget full --rows "$row" --seeds 5 --root "$out/runs"
done
bench scenes --suites scenes --batch 1024
for row in t4r1 t4r2 t4r3 t4r4 t4r5 t4-supervised; do
  piece "$row" jidcl verify --system scenes --budget full --rows "$row" --seeds 1 \
    --root "$out/runs"
done
for row in colour crop-large crop-small crop-large-colour crop-small-colour rotation \
  rotation-colour lt-hues lt-positions lt-positions-hues lt-rotations lt-rotations-hues; do
  piece "$row" jidcl verify --system causal3d --budget full --rows "$row-class" \
    --seeds 1 --root "$out/runs"
done
for row in sprites-mlp sprites-cnn shapes3d-mlp shapes3d-cnn; do
  piece "$row" jidcl verify --system dislib --budget full --rows "$row-shape" \
    --seeds 3 --root "$out/runs"
done
jidcl table --root "$out/runs" | tee "$out/tables.md"
