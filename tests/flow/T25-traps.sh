# SPDX-License-Identifier: ISC
# What spoils statistics without an error: BOS that counts, BOS twice, rows of padding in
# the vocabulary.
set -eu
. "$srcdir/tests/indexer/lib.sh"

# field STORE EXPRESSION: of its run 1, as run.
field()
{
	saedb --store "$1" --json run 1 >run.json
	"$PYTHON" -c "import json; run = json.load(open('run.json')); print($2)"
}

index s --sae tiny/sae/plain --corpus tiny/a.jsonl || fail "index"
[ "$(field s "run['saes'][0]['n_tokens'] == run['n_tokens'] - run['n_windows']")" = True ] ||
	fail "BOS counts: $(cat run.json)"
index counted --sae tiny/sae/plain --corpus tiny/a.jsonl --count-special || fail "index"
[ "$(field counted "run['saes'][0]['n_tokens'] == run['n_tokens']")" = True ] ||
	fail "BOS does not count where it is to"
ok "BOS does not count"

# A tokenizer that puts BOS in front by itself, as Llama's and Gemma's do.
cp -r tiny/model twice
"$PYTHON" - twice/tokenizer.json <<'PY'
import json, sys
path = sys.argv[1]
t = json.load(open(path))
bos = {"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}}
t["post_processor"] = {
    "type": "TemplateProcessing",
    "single": [bos, {"Sequence": {"id": "A", "type_id": 0}}],
    "pair": [bos, {"Sequence": {"id": "A", "type_id": 0}},
             {"Sequence": {"id": "B", "type_id": 1}}],
    "special_tokens": {"<|endoftext|>": {"id": "<|endoftext|>", "ids": [0],
                                         "tokens": ["<|endoftext|>"]}}}
json.dump(t, open(path, "w"))
PY
rm -rf t
saedb-index --quiet --store t --model twice --sae tiny/sae/plain --corpus tiny/a.jsonl \
	>out 2>&1 || fail "index with a template"
for what in "run['n_tokens'], run['n_windows']" "run['saes'][0]['l0']"; do
	[ "$(field s "$what")" = "$(field t "$what")" ] || fail "BOS stands there twice"
done
ok "BOS once"

# Rows beyond the tokenizer, which are no tokens and would win every comparison.
cp -r tiny/model padded
PYTHONPATH="$srcdir/tests/indexer" "$PYTHON" - padded <<'PY'
import json, pathlib, struct, sys
from make_tiny import safetensors
path = pathlib.Path(sys.argv[1])
raw = (path / "model.safetensors").read_bytes()
n = struct.unpack("<Q", raw[:8])[0]
t = {}
for k, v in json.loads(raw[8:8 + n]).items():
    start, end = (8 + n + x for x in v["data_offsets"])
    t[k] = v["shape"], list(struct.unpack("<%df" % ((end - start) // 4), raw[start:end]))
(rows, d), values = t["transformer.wte.weight"]
more = [100.0 if (i + r) % 2 else -100.0 for r in range(8) for i in range(d)]
t["transformer.wte.weight"] = [rows + 8, d], values + more
safetensors(path / "model.safetensors", t)
config = json.loads((path / "config.json").read_text())
config["vocab_size"] = rows + 8
(path / "config.json").write_text(json.dumps(config))
PY
saedb-index --quiet --store p --model padded --sae tiny/sae/plain --corpus tiny/a.jsonl \
	>out 2>&1 || fail "index with a padded vocabulary"
saedb-index verify p >out 2>&1 || fail "verify with a padded vocabulary"
for f in 0 1 2 3 40 95; do
	for store in s p; do
		saedb --store $store --json feature plain/$f >feature.json
		"$PYTHON" -c "
import json
f = json.load(open('feature.json'))
print(f['promoted'], f['suppressed'])" >$store.effect
	done
	[ "$(wc -c <s.effect)" -gt 100 ] || fail "no logit effects: $(cat s.effect)"
	cmp s.effect p.effect || fail "padding stands among the effects of $f: $(cat p.effect)"
done
ok "padded vocabulary"
done_testing
