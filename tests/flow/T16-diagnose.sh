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
[ "$(grep -c '^[* ]  *[0-9.]\+  *[0-9.]\+  [a-z]' out)" = 13 ] || fail "not 13 rules"
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

wrong bos
sed -i 's/"prepend_bos": *true/"prepend_bos": false/' bos/cfg.json
names bos 'BOS in front of each window'
ok "wrong configs"

# reweigh DIR EXPRESSION: over t, {tensor: floats}; by is sqrt(d) / mean |x|, norm(f) what
# a decoder row is made as long as.
diagnose "$demo/sae/1k"
mean=$(sed -n 's/.*tokens, mean |x| //p' out)
reweigh()
{
	[ -d "$1" ] || wrong "$1"
	"$PYTHON" - "$1/sae_weights.safetensors" "$mean" "$2" <<'PY'
import json, struct, sys
path, mean = sys.argv[1], float(sys.argv[2])
b = bytearray(open(path, "rb").read())
n = struct.unpack("<Q", b[:8])[0]
header = json.loads(b[8:8 + n])
at = {k: [8 + n + x for x in v["data_offsets"]] for k, v in header.items()
      if k != "__metadata__"}
t = {k: struct.unpack("<%de" % ((e - s) // 2), b[s:e]) for k, (s, e) in at.items()}
d_sae, d = header["W_dec"]["shape"]
by = d ** 0.5 / mean


def norm(f):
    return (1, 2, 4)[f % 3]


def times(name, factor, per=1, cycle=None):
    """factor(f), f: the feature of a value, per values or every cycle-th to each."""
    t[name] = [v * factor(i % cycle if cycle else i // per) for i, v in enumerate(t[name])]


exec(sys.argv[3])
header, data = {}, b""
for k, v in t.items():
    shape = json.loads(bytes(b[8:8 + n]))[k]["shape"]
    header[k] = {"dtype": "F16", "shape": shape, "data_offsets": [len(data), len(data) + 2 * len(v)]}
    data += struct.pack("<%de" % len(v), *v)
text = json.dumps(header).encode()
open(path, "wb").write(struct.pack("<Q", len(text)) + text + data)
PY
}

# As trained on inputs of norm sqrt(d) on average, without folding that in.
reweigh unfolded '
for k in ("b_enc", "b_dec", "threshold"):
    times(k, lambda f: by)'
names unfolded 'input scaled to norm sqrt(d) on average'
reweigh twice '
times("W_enc", lambda f: by)
times("W_dec", lambda f: 1 / by)
times("b_dec", lambda f: 1 / by)'
names twice 'input scaled the other way (an SAE folded twice)'
ok "scales"

# b_dec folded into b_enc, which its config does not say.
reweigh folded '
t["b_enc"] = [v - sum(t["W_enc"][i * d_sae + f] * t["b_dec"][i] for i in range(d))
              for f, v in enumerate(t["b_enc"])]'
names folded 'b_dec not subtracted from the input'
ok "b_dec"

reweigh high 'times("threshold", lambda f: 1 / by)'
names high 'thresholds times sqrt(d) / mean |x|'
# The same SAE with longer decoder rows, but for the thresholds.
longer='
times("W_dec", norm, per=d)
times("W_enc", lambda f: 1 / norm(f), cycle=d_sae)
times("b_enc", lambda f: 1 / norm(f))'
reweigh units "$longer"
names units "thresholds for pre times the decoder row's norm"
reweigh same "$longer
times('threshold', lambda f: 1 / norm(f))"
# The same with shorter ones, and the thresholds shortened once more.
reweigh short "
times('W_dec', lambda f: 1 / norm(f), per=d)
times('W_enc', norm, cycle=d_sae)
times('b_enc', norm)
times('threshold', lambda f: norm(f) ** 2)"
names short "thresholds times the decoder row's norm"
diagnose same
[ $status = 0 ] || fail "longer decoder rows alone are taken for a wrong rule"
# A TopK of those rows that is to rank as if they were of unit norm.
reweigh rank "$longer
del t['threshold']"
sed -i 's/"architecture": *"jumprelu"/"architecture": "topk", "k": 18/' rank/cfg.json
names rank "ranked by pre times the decoder row's norm"
ok "thresholds and ranks"

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
