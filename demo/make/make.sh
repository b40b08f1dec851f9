#!/bin/sh
# SPDX-License-Identifier: ISC
# Rebuild the whole demo from nothing: corpus, tokenizer, language model, both SAEs, measurements.
# Usage: demo/make/make.sh [WORK_DIR]   (needs Python 3.11 or later; an hour and a half on two cores)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
demo=$(dirname "$here")
work=${1:-${TMPDIR:-/tmp}/saedb-demo}
mkdir -p "$work"
export OMP_WAIT_POLICY=PASSIVE HF_HUB_DISABLE_PROGRESS_BARS=1 HF_HUB_OFFLINE=1

if [ ! -x "$work/venv/bin/python" ]; then
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install -q --disable-pip-version-check -r "$here/requirements.txt"
fi
python() { "$work/venv/bin/python" "$@"; }

cd "$here"
python generate.py --work "$work" --out "$demo/corpus"
python golden.py "$demo/corpus/golden_gate.json"
python train_tokenizer.py --work "$work" --out "$demo/model"
python train_lm.py --work "$work" --out "$demo/model" --tokens 16e6
python train_lm.py --work "$work" --out "$demo/model" --resume --tokens 1.6e6 --seed 2 --apart 20 --rate 2e-3 --embedding-rate 2e-3
python measure_lm.py --model "$demo/model" --corpus "$demo/corpus" --train "$work/train.jsonl" > "$work/lm.json"
rm -f "$work/residual.npy"          # of another model, perhaps
python train_sae.py --work "$work" --model "$demo/model" --features 1024 --tokens 6e6 --out "$demo/sae/1k"
python train_sae.py --work "$work" --model "$demo/model" --features 8192 --tokens 12e6 --out "$demo/sae/8k"
python measure_sae.py --model "$demo/model" --corpus "$demo/corpus" "$demo/sae/1k" "$demo/sae/8k" > "$work/sae.json"
python report.py "$work/lm.json" "$work/sae.json"
