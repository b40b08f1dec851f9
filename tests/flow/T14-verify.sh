# SPDX-License-Identifier: ISC
# verify passes, and fails after one stored value, one weight, one rule of BOS or one
# byte of the corpus was changed.
set -eu
. "$srcdir/tests/indexer/lib.sh"
index s --sae tiny/sae/plain --sae tiny/sae/topk --corpus tiny/a.jsonl || fail "index"
saedb-index verify s >out 2>&1 || fail "verify"
grep -q '64 features of plain, [1-9][0-9]* activations: equal' out || fail "what it says"
grep -q '64 features of topk' out || fail "what it says of the second"
saedb-index verify s --features 96 --seed 5 --threads 1 --run 1 >out 2>&1 ||
	fail "verify of all features"
refuses 1 'no run 9' verify s --run 9
ok "verify passes"

# flip FILE: one bit of each of some bytes spread over it
flip()
{
	"$PYTHON" - "$1" <<'PY'
import sys
b = bytearray(open(sys.argv[1], "rb").read())
for at in range(len(b) // 16, len(b), len(b) // 12):
    b[at] ^= 4
open(sys.argv[1], "wb").write(b)
PY
}
for f in 00/acts.mdb 00/feature.mdb; do
	rm -rf copy
	cp -r s copy
	flip copy/run/*/$f
	refuses 1 . verify copy --features 96
done
ok "a stored value"

cp -r tiny/model keep
flip1()
{
	"$PYTHON" - "$1" <<'PY'
import sys
b = bytearray(open(sys.argv[1], "rb").read())
b[-3] ^= 1
open(sys.argv[1], "wb").write(b)
PY
}
flip1 tiny/model/model.safetensors
refuses 1 'is not the model that was indexed' verify s
cp keep/model.safetensors tiny/model
cp -r tiny/sae/plain keep.sae
flip1 tiny/sae/plain/sae_weights.safetensors
refuses 1 'is not the SAE that was indexed' verify s
cp keep.sae/sae_weights.safetensors tiny/sae/plain
saedb-index verify s >out 2>&1 || fail "verify after putting weights back"
ok "a weight"

sed -i 's/"prepend_bos": true/"prepend_bos": false/' tiny/sae/plain/cfg.json
refuses 1 'without BOS\|is not the SAE' verify s
cp keep.sae/cfg.json tiny/sae/plain
sed -i 's/"bos_token": "[^"]*"/"bos_token": "a"/' tiny/model/tokenizer_config.json
refuses 1 'BOS\|tokenizer' verify s
cp keep/tokenizer_config.json tiny/model
ok "a rule of BOS"

sed 's/golden/gilded/' tiny/a.jsonl >tiny/changed.jsonl
cp tiny/a.jsonl keep.jsonl
cp tiny/changed.jsonl tiny/a.jsonl
refuses 1 'the corpus is not the one that was indexed' verify s
rm tiny/a.jsonl
refuses 1 'a.jsonl' verify s
cp keep.jsonl tiny/a.jsonl
saedb-index verify s >out 2>&1 || fail "verify after putting the corpus back"
ok "the corpus"
done_testing
