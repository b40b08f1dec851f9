# SPDX-License-Identifier: ISC
# Decoder rows of another width than what is read: transcoders between hooks of unlike
# width, layers of cross-layer transcoders. Indexed, verified, asked.
set -eu
. "$srcdir/tests/indexer/lib.sh"

PYTHONPATH="$srcdir/tests/indexer" "$PYTHON" - <<'END'
import json
import pathlib
import struct

from make_tiny import D, D_SAE, HEADS, Noise, safetensors

Z = HEADS * 12
noise = Noise(5)


def tensors(path):
    data = path.read_bytes()
    n = struct.unpack("<Q", data[:8])[0]
    for name, t in json.loads(data[8:8 + n]).items():
        a, b = (8 + n + at for at in t["data_offsets"])
        yield name, (t["shape"], list(struct.unpack(f"<{(b - a) // 4}f", data[a:b])))


def bias(n):
    return [n], [v - 0.5 for v in noise.tensor(0.2, n)[1]]


def transcoder(name, architecture, d_in, d_out, hook, to, **more):
    out = pathlib.Path("tiny/other") / name
    out.mkdir(parents=True)
    (out / "cfg.json").write_text(json.dumps({
        "architecture": architecture, "d_in": d_in, "d_out": d_out, "d_sae": D_SAE,
        "apply_b_dec_to_input": False, "metadata": {
            "sae_lens_version": "6.54.12", "model_name": "llama", "prepend_bos": True,
            "hook_name": hook, "hook_name_out": to}}))
    safetensors(out / "sae_weights.safetensors", {
        "W_enc": noise.tensor(0.5, d_in, D_SAE), "b_enc": bias(D_SAE),
        "W_dec": noise.tensor(0.3, D_SAE, d_out), "b_dec": noise.tensor(0.1, d_out)} | more)


transcoder("wide", "transcoder", D, Z, "blocks.1.hook_resid_pre", "blocks.1.attn.hook_z")
# Attention's output weights alone explain what it gives.
o_proj = dict(tensors(pathlib.Path("tiny/llama/model.safetensors")))[
    "model.layers.1.self_attn.o_proj.weight"]
transcoder("narrow", "skip_transcoder", Z, D, "blocks.1.attn.hook_z",
           "blocks.1.hook_attn_out", W_dec=([D_SAE, D], [0] * D_SAE * D),
           b_dec=Noise.same(0, D), W_skip=o_proj)

YAML = """model_kind: cross_layer_transcoder
model_name: tiny
feature_input_hook: hook_resid_mid
feature_output_hook: hook_mlp_out
"""
for name, layers in (("clt", 2), ("long", 3)):
    out = pathlib.Path("tiny") / name
    out.mkdir()
    (out / "config.yaml").write_text(YAML)
    for i in range(layers):
        safetensors(out / f"W_enc_{i}.safetensors", {
            f"W_enc_{i}": noise.tensor(0.5, D_SAE, D), f"b_enc_{i}": bias(D_SAE),
            f"b_dec_{i}": noise.tensor(0.1, D)})
        safetensors(out / f"W_dec_{i}.safetensors",
                    {f"W_dec_{i}": noise.tensor(0.3, D_SAE, layers - i, D)})

# The first layer's own target as a transcoder of one layer.
enc = dict(tensors(pathlib.Path("tiny/clt/W_enc_0.safetensors")))
dec = dict(tensors(pathlib.Path("tiny/clt/W_dec_0.safetensors")))["W_dec_0"][1]
out = pathlib.Path("tiny/plt")
out.mkdir()
(out / "config.yaml").write_text(YAML.replace("cross_layer_transcoder", "transcoder_set"))
safetensors(out / "layer_0.safetensors", {
    "W_enc": enc["W_enc_0"], "b_enc": enc["b_enc_0"], "b_dec": enc["b_dec_0"],
    "W_dec": ([D_SAE, D], [v for f in range(D_SAE)
                           for v in dec[2 * D * f:2 * D * f + D]])})
END

# What is answered about FEATURE, against the weights, in Python's doubles.
# answers MODEL ADDRESS DECODER TENSOR ROW [OUTPUT WEIGHTS' TENSOR]
cat >answers.py <<'END'
import json
import math
import struct
import sys


def tensor(path, name):
    data = open(path, "rb").read()
    n = struct.unpack("<Q", data[:8])[0]
    t = json.loads(data[8:8 + n])[name]
    a, b = (8 + n + at for at in t["data_offsets"])
    return t["shape"], struct.unpack(f"<{(b - a) // 4}f", data[a:b])


def rows(shape, v):
    n = len(v) // shape[0]
    return [v[i * n:i * n + n] for i in range(shape[0])]


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


unembed, decoder, name, index, through = sys.argv[1:6]
index = int(index)
feature, neighbors, vector = (json.load(open(x)) for x in ("f.json", "n.json", "v.json"))
w = rows(*tensor(decoder, name))
row = w[index]
size = [math.sqrt(dot(x, x)) for x in w]
assert vector["d_out"] == len(row) and abs(vector["norm"] - size[index]) < 1e-5, vector
assert abs(feature["decoder_norm"] - size[index]) < 1e-5
cosine = [dot(x, row) / s / size[index] for x, s in zip(w, size)]
best = sorted((i for i in range(len(w)) if i != index), key=lambda i: -cosine[i])
for x, i in zip(neighbors["neighbors"], best):
    assert x["index"] == i and abs(x["cosine"] - cosine[i]) < 1e-5, (x, i, cosine[i])
W = rows(*tensor(unembed, sys.argv[6]))
d = len(W[0])
if through:
    stream = [dot(x, row) for x in rows(*tensor(unembed, through))]
else:
    stream = [sum(row[j::d]) for j in range(d)]
effect = [dot(stream, x) for x in W]
order = sorted(range(len(W)), key=lambda i: -effect[i])
for x, i in zip(feature["promoted"], order):
    assert x["id"] == i and abs(x["value"] - effect[i]) < 1e-4, (x, i, effect[i])
for x, i in zip(feature["suppressed"], reversed(order)):
    assert x["id"] == i and abs(x["value"] - effect[i]) < 1e-4, (x, i, effect[i])
assert len(feature["promoted"]) == 10 and len(neighbors["neighbors"]) == 5
END

# ask STORE ADDRESS ROW DECODER TENSOR THROUGH UNEMBEDDING MODEL
ask()
{
	saedb --store "$1" --json feature "$2/$3" >f.json 2>out || fail "feature $2/$3"
	saedb --store "$1" --json neighbors "$2/$3" --k 5 >n.json 2>out ||
		fail "neighbors $2/$3"
	saedb --store "$1" --json vector "$2/$3" >v.json 2>out || fail "vector $2/$3"
	"$PYTHON" answers.py "$8/model.safetensors" "$4" "$5" "$3" "$6" "$7" >out 2>&1 ||
		fail "answers about $2/$3"
	saedb --store "$1" vector "$2/$3" --raw >raw 2>out || fail "vector --raw"
	saedb --store "$1" neighbors - --sae "$2" --k 1 <raw >out 2>&1 || fail "neighbors -"
	grep -q "$2/$3 " out || fail "$2/$3 is not nearest to its own vector"
}

index s --sae c0=tiny/clt/W_enc_0.safetensors --sae c1=tiny/clt/W_enc_1.safetensors \
	--sae plt=tiny/plt --corpus tiny/a.jsonl || fail "cross-layer"
[ "$(grep -c '^  c[01] .*explained variance not known' out)" = 2 ] || fail "explained"
grep -q '^  plt .*explained variance -\?[0-9]' out || fail "explained of one layer"
saedb-index verify s --features 96 >out 2>&1 || fail "verify"
for sae in c0 c1 plt; do
	grep -q "96 features of $sae, [1-9][0-9]* activations: equal" out ||
		fail "what verify says of $sae"
done
[ "$(ls s/graph | wc -l)" = 3 ] || fail "neighbors between rows of unlike width"
saedb --store s --json saes >saes.json 2>out || fail "saes"
"$PYTHON" - <<'END' || fail "what saes says"
import json
saes = {s["name"]: s for s in json.load(open("saes.json"))["saes"]}
at = "blocks.{}.hook_resid_mid>blocks.{}.hook_mlp_out".format
assert [(saes[x]["d_in"], saes[x]["d_out"], saes[x]["hook"]) for x in ("c0", "c1", "plt")] \
    == [(32, 64, at(0, "0-1")), (32, 32, at(1, 1)), (32, 32, at(0, 0))], saes
END
for sae in 0 1; do
	ask s c$sae 3 tiny/clt/W_dec_$sae.safetensors W_dec_$sae "" \
		transformer.wte.weight tiny/model
done
ask s plt 5 tiny/plt/layer_0.safetensors W_dec "" transformer.wte.weight tiny/model
# "all" are the SAEs whose rows stand in the residual stream, or at the same hook.
searched()
{
	saedb --store "$1" --json neighbors "$2" --sae all 2>out |
		"$PYTHON" -c 'import json, sys
print(*(s["sae"] for s in json.load(sys.stdin)["searched"]))'
}
[ "$(searched s plt/5)" = "c1 plt" ] || fail "rows in the stream: $(searched s plt/5)"
[ "$(searched s c0/3)" = c0 ] || fail "rows of two layers: $(searched s c0/3)"
! saedb --store s neighbors plt/5 --sae c0 >out 2>&1 || fail "rows of unlike width"
grep -q 'rows of plt have 32 numbers and those of c0 64: they cannot be compared' out ||
	fail "what it says of unlike widths"
# What fires does not depend on where it goes.
for sae in c0 plt; do
	saedb --store s --json feature $sae/7 --brief 2>&1 |
		sed 's/.*"count":\([0-9]*\).*"max":\([0-9.]*\).*/\1 \2/' >$sae.fires
done
[ -s c0.fires ] && cmp c0.fires plt.fires >out || fail "other activations"
ok "layers of a cross-layer transcoder"

saedb-index inspect tiny/clt/W_enc_0.safetensors >out 2>&1 || fail "inspect"
for line in 'W_enc_0.safetensors: a layer of a cross-layer transcoder' \
	'hook *blocks.0.hook_resid_mid>blocks.0-1.hook_mlp_out of tiny' \
	'targets *2, 32 dimensions each: a part of what stands there'; do
	grep -q "$line" out || fail "inspect does not say '$line'"
done
refuses 1 'W_enc_0.safetensors is a layer of a cross-layer transcoder: it gives only' \
	diagnose --model tiny/model --sae tiny/clt/W_enc_0.safetensors --corpus tiny/a.jsonl
refuses 1 'holds several SAEs' --store x --model tiny/model --sae tiny/clt \
	--corpus tiny/a.jsonl
refuses 1 'the model has layers 0 to 1, so there is no blocks.2.hook_mlp_out' --store x \
	--model tiny/model --sae tiny/long/W_enc_1.safetensors --corpus tiny/a.jsonl
mv tiny/long/W_dec_1.safetensors gone
refuses 1 'W_dec_1.safetensors is missing' --store x --model tiny/model \
	--sae tiny/long/W_enc_1.safetensors --corpus tiny/a.jsonl
[ ! -e x ] || fail "what is refused leaves a store"
ok "what a layer of one is not"

gzip -dc "$srcdir/tests/flow/data/store-1.tar.gz" | tar xf - || fail "tar"
index store --sae c0=tiny/clt/W_enc_0.safetensors --corpus tiny/b.jsonl ||
	fail "an old store"
ask store c0 4 tiny/clt/W_dec_0.safetensors W_dec_0 "" transformer.wte.weight tiny/model
saedb --store store neighbors topk/3 --k 2 >out 2>&1 || fail "its own SAE"
saedb-index rename topk other --store store >out 2>&1 || fail "rename"
index store --sae tiny/sae/plain --corpus tiny/b.jsonl || fail "one more, as wide as long"
saedb-index rm 2 --store store >out 2>&1 && saedb-index gc store >out 2>&1 || fail "gc"
saedb --store store --json saes >saes.json 2>out || fail "saes"
"$PYTHON" - <<'END' || fail "what saes says of an old store"
import json
saes = json.load(open("saes.json"))["saes"]
assert [(s["name"], s["d_out"]) for s in saes] == [("other", 32), ("plain", 32)], saes
END
ok "an old store takes them"

rm -rf tiny/model
mv tiny/llama tiny/model
index w --sae tiny/other/wide --sae tiny/other/narrow --corpus tiny/a.jsonl ||
	fail "unlike widths"
grep -q '^  narrow .*explained variance 1.000' out || fail "narrow"
saedb-index verify w --features 96 >out 2>&1 || fail "verify of unlike widths"
ask w wide 3 tiny/other/wide/sae_weights.safetensors W_dec \
	model.layers.1.self_attn.o_proj.weight model.embed_tokens.weight tiny/model
[ "$(wc -c <raw)" = 192 ] || fail "not 48 floats"
[ "$(searched w wide/3)" = wide ] || fail "other places: $(searched w wide/3)"
head -c 128 raw >short
! saedb --store w neighbors - --sae wide <short >out 2>&1 || fail "a vector as it reads"
grep -q 'vector must have 48 numbers for wide, not 32' out || fail "what it says"
ok "transcoders between hooks of unlike width"

done_testing
