# SPDX-License-Identifier: ISC
# diagnose names each wrong rule that is planted in an SAE trained for another.
set -eu
. "$srcdir/tests/indexer/lib.sh"
demo=$srcdir/demo
corpus=$demo/corpus/demo.jsonl.gz

# diagnose SAE: its answer in ./out, its status in $status
diagnose()
{
	status=0
	saedb-index diagnose --model "$demo/model" --sae "$1" --corpus "$corpus" \
		--sample 800 >out 2>&1 || status=$?
}

# wrong NAME: a copy of the demo's smaller SAE, for a wrong rule
wrong()
{
	cp -r "$demo/sae/1k" "$1"
	chmod -R u+w "$1"
}

# names SAE TEXT
names()
{
	diagnose "$1"
	[ $status = 1 ] || fail "diagnose $1 ends with $status"
	grep -q "^[*].* $2" out || fail "diagnose $1 does not choose '$2'"
	grep -q "this fits better: $2" out || fail "diagnose $1 does not say '$2'"
	grep -q '1 of 1 SAEs fit another rule better' out || fail "no verdict"
}

diagnose "$demo/sae/1k"
[ $status = 0 ] || fail "diagnose ends with $status"
grep -q '^[*].* as its files say' out || fail "its own rules are not chosen"
grep -q 'its own rules fit best' out || fail "it does not say so"
[ "$(grep -c '^[* ]  *[0-9.]\+  *[0-9.]\+  [a-z]' out)" = 8 ] || fail "not eight rules"
before=$(sed 's/([^)]*)//' out)
saedb-index diagnose --model "$demo/model" --sae "$demo/sae/1k" --corpus "$corpus" \
	--sample 800 --threads 3 >out 2>&1 || fail "three threads"
[ "$(sed 's/([^)]*)//' out)" = "$before" ] || fail "the number of threads matters"
ok "its own rules"

wrong left
sed -i 's/"apply_b_dec_to_input": *true/"apply_b_dec_to_input": false/' left/cfg.json
names left 'b_dec subtracted from the input'
wrong normed
sed -i 's/"normalize_activations": *"none"/"normalize_activations": "layer_norm"/' \
	normed/cfg.json
names normed 'input not normalised'
for layer in 1 3; do
	wrong layer$layer
	sed -i "s/blocks[.]2[.]/blocks.$layer./" layer$layer/cfg.json
done
names layer1 'the hook one layer above'
names layer3 'the hook one layer below'

# As trained on inputs of norm sqrt(d) on average, without folding that in.
wrong unfolded
diagnose "$demo/sae/1k"
"$PYTHON" - unfolded/sae_weights.safetensors \
	"$(sed -n 's/.*mean |x| //p' out)" <<'PY'
import json, struct, sys
path, norm = sys.argv[1], float(sys.argv[2])
b = bytearray(open(path, "rb").read())
n = struct.unpack("<Q", b[:8])[0]
header = json.loads(b[8:8 + n])
by = header["b_dec"]["shape"][0] ** 0.5 / norm
for name in ("b_enc", "b_dec", "threshold"):
    start, end = (8 + n + at for at in header[name]["data_offsets"])
    form = "<%de" % header[name]["shape"][0]
    b[start:end] = struct.pack(form, *(v * by for v in struct.unpack(form, b[start:end])))
open(path, "wb").write(b)
PY
names unfolded 'input scaled to norm sqrt(d) on average'
ok "wrong rules"

refuses 2 '--corpus is missing' diagnose --model "$demo/model" --sae "$demo/sae/1k"
refuses 2 '--store is no option of diagnose' diagnose --store s
: >empty.jsonl
refuses 1 'empty.jsonl: not one window' diagnose --model "$demo/model" \
	--sae "$demo/sae/1k" --corpus empty.jsonl
refuses 1 'nowhere' diagnose --model nowhere --sae "$demo/sae/1k" --corpus "$corpus"
ok "wrong use"
# Nothing is to be left in order, so a signal ends it at once, not at its end.
status=0
timeout -s TERM --preserve-status 2 saedb-index diagnose --model "$demo/model" \
	--sae "$demo/sae/1k" --corpus "$corpus" --sample 200000 >out 2>&1 || status=$?
[ $status = 143 ] || fail "a signal ends diagnose with $status, not 143"
ok "a signal"
done_testing
