# SPDX-License-Identifier: ISC
# How features appear in wider and narrower SAEs: trees of three SAEs, every cosine and
# count against the plainest loop; what cannot be answered. no-tsan: T40 has its threads.
set -eu
. "$srcdir/tests/indexer/lib.sh"
. "$srcdir/tests/daemon/lib.sh"
awk '!seen[$0]++' tiny/a.jsonl | sed 60q >a.jsonl

# SAEs of 24 and 48 features out of the one of 96: some rows kept, some turned a little.
"$PYTHON" - <<'PY'
import json
import pathlib
import random
import struct

source = pathlib.Path("tiny/sae/plain")
raw = (source / "sae_weights.safetensors").read_bytes()
n = struct.unpack("<Q", raw[:8])[0]
head = json.loads(raw[8:8 + n])
body = raw[8 + n:]
tensor = {}
for name, t in head.items():
    if name != "__metadata__":
        assert t["dtype"] == "F32", t
        lo, hi = t["data_offsets"]
        tensor[name] = (t["shape"], list(struct.unpack("<%df" % ((hi - lo) // 4), body[lo:hi])))
d, wide = tensor["W_enc"][0]
for width in (24, 48):
    random.seed(width)
    pick = [i * 2 for i in range(width)] if width == 48 else [i * 4 for i in range(width)]
    dec = tensor["W_dec"][1]
    new = {"W_enc": ([d, width], [tensor["W_enc"][1][r * wide + p] for r in range(d) for p in pick]),
           "b_enc": ([width], [tensor["b_enc"][1][p] for p in pick]),
           "b_dec": tensor["b_dec"],
           "W_dec": ([width, d], [dec[p * d + j] + (random.gauss(0, 0.05) if p % 8 else 0)
                                  for p in pick for j in range(d)])}
    out, data = {}, b""
    for name, (shape, values) in new.items():
        part = struct.pack("<%df" % len(values), *values)
        out[name] = {"dtype": "F32", "shape": shape,
                     "data_offsets": [len(data), len(data) + len(part)]}
        data += part
    text = json.dumps(out).encode()
    text += b" " * (-len(text) % 8)
    to = pathlib.Path("sae%d" % width)
    to.mkdir()
    (to / "sae_weights.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    cfg = json.loads((source / "cfg.json").read_text())
    cfg["d_sae"] = width
    (to / "cfg.json").write_text(json.dumps(cfg))
PY

index s3 --sae wide=tiny/sae/plain --sae small=sae24 --sae mid=sae48 --corpus a.jsonl ||
	fail "index"
start_daemon s --store s3
timeout 300 "$PYTHON" "$srcdir/tests/daemon/splitting.py" s >said 2>&1 || fail "$(tail -5 said)"
sed 's/^ok/#/' said
ok "trees downward and upward, by cosine, co-occurrence and both"

# refused TEXT ARGUMENT...
refused()
{
	local text=$1
	shift
	! timeout 60 saedb --connect s "$@" >said 2>&1 || fail "saedb $* is not refused"
	grep -q -- "$text" said || fail "saedb $* says: $(cat said)"
}

timeout 60 saedb --connect s splitting small/2 >said 2>&1 || fail "splitting"
grep -q '^small/2 ' said && grep -q 'mid/4  *1.000' said && grep -q 'wide/8  *1.000' said ||
	fail "the tree: $(cat said)"
timeout 60 saedb --connect s splitting wide/8 --direction parents >said 2>&1 || fail "parents"
[ "$(grep -c 'mid/4\|small/2' said)" = 2 ] || fail "the tree upward: $(cat said)"
refused 'by must be\|cosine' call feature.splitting feature=small/2 by=name
refused 'direction must be' call feature.splitting feature=small/2 direction=up
refused 'min_cosine' call feature.splitting feature=small/2 min_cosine=2
refused 'the tree has more than 1000 features' call feature.splitting feature=small/2 \
	min_cosine=-1 k=32
refused 'small has features 0 to 23, not 24' splitting small/24
stop_daemon

index apart --sae small=sae24 --corpus a.jsonl || fail "index"
sed 40q a.jsonl >c.jsonl
index apart --sae wide=tiny/sae/plain --corpus c.jsonl || fail "index"
start_daemon s --store apart
timeout 60 saedb --connect s --json splitting small/2 >said 2>&1 || fail "two corpora"
grep -q '"feature":"wide/8".*"n_both":null' said || fail "two corpora: $(cat said)"
refused 'no run has wide over the corpus of run 1' splitting small/2 --by cooccurrence
timeout 60 saedb --connect s splitting wide/2 >said 2>&1 || fail "the widest"
grep -q 'no wider SAE of the store' said || fail "the widest: $(cat said)"
stop_daemon
ok "other corpora, no wider SAE, wrong words"
echo 1..2
