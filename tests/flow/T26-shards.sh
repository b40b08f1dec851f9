# SPDX-License-Identifier: ISC
# Activations and features that were made elsewhere: the same run as the model's own,
# whatever way they come; and what is said of streams that are broken.
set -eu
. "$srcdir/tests/indexer/lib.sh"
make_shards=$builddir/tests/tools/make_shards
shards()
{
	"$PYTHON" "$srcdir/tests/indexer/shards.py" "$@"
}

# A document without a token has no window, so no shard speaks of it.
grep -v '"id": "empty-1"' tiny/a.jsonl >a.jsonl
! cmp -s a.jsonl tiny/a.jsonl || fail "nothing to leave out"
hook=blocks.1.hook_resid_pre
index native --sae tiny/sae/plain --sae tiny/sae/topk --corpus a.jsonl || fail "index"
"$make_shards" tiny/model a.jsonl 24 200 $hook >acts.bin || fail "make shards"
"$make_shards" tiny/model a.jsonl 24 300 plain=tiny/sae/plain topk=tiny/sae/topk \
	>latents.bin || fail "make latents"
shards split acts.bin shards
shards reverse acts.bin >reverse.bin

# same STORE OTHER: all but what names the cut, the run and who computed how well it fits.
content()
{
	"$dump_store" "$1" | sed '/^cut /d; /^run /d; /^slot /s/ explained.*//'
}
same()
{
	content "$1" >"$1.txt"
	content "$2" >"$2.txt"
	[ -s "$1.txt" ] && cmp "$1.txt" "$2.txt" >out 2>&1 || fail "$2 is not as $1"
}
fed()
{
	local store=$1
	shift
	index "$store" --sae tiny/sae/plain --sae tiny/sae/topk "$@" || fail "index $*"
}

fed file --activations acts.bin
same native file
ok "shards in a file: as the model itself"
fed dir --activations shards
same file dir
fed pipe --activations - <acts.bin
same file pipe
fed reverse --activations reverse.bin
same file reverse
fed small --activations acts.bin --threads 1 --batch-tokens 7
same file small
"$dump_store" file | grep '^run\|^slot' >a
for store in dir pipe reverse small; do
	"$dump_store" $store | grep '^run\|^slot' >b
	cmp -s a b || fail "$store is another run"
done
ok "a directory, a pipe, another order, batches and threads: one run"

saedb-index --store socket --model tiny/model --sae tiny/sae/plain --sae tiny/sae/topk \
	--activations unix:sock >out 2>&1 &
"$PYTHON" - <<'PY' || fail "the socket"
import os, socket, time
for _ in range(600):
    if os.path.exists("sock"):
        break
    time.sleep(0.1)
assert os.stat("sock").st_mode & 0o77 == 0, "others may connect"
s = socket.socket(socket.AF_UNIX)
s.connect("sock")
s.sendall(open("acts.bin", "rb").read())
s.shutdown(socket.SHUT_WR)
answer = s.makefile().read()
assert answer == "ok 1\n", answer
PY
wait $! || fail "index from a socket"
[ ! -e sock ] || fail "the socket is left"
same file socket
saedb-index --store refused --model tiny/model --sae tiny/sae/plain \
	--activations unix:sock >out 2>&1 &
"$PYTHON" - <<'PY' || fail "a socket that is told the error"
import os, socket, time
for _ in range(600):
    if os.path.exists("sock"):
        break
    time.sleep(0.1)
s = socket.socket(socket.AF_UNIX)
s.connect("sock")
s.sendall(open("acts.bin", "rb").read()[:100000])
s.shutdown(socket.SHUT_WR)
answer = s.makefile().read()
assert answer.startswith("error ") and "ends in its middle" in answer, answer
PY
! wait $! || fail "half a stream is indexed"
ok "a socket, and what its writer is told"

fed latents --latents latents.bin
grep -q 'explained variance not known' out || fail "it knows how well they explain"
same native latents
saedb-index verify latents >out 2>&1 || fail "verify"
grep -q 'made elsewhere' out || fail "verify says nothing"
ok "features encoded elsewhere"

shards full acts.bin 24 >full.bin
"$make_shards" tiny/model a.jsonl 24 300 plain=tiny/sae/plain >one.bin
shards full one.bin 24 >one-full.bin
shards rows full.bin rows.npy
shards delphi one-full.bin cache
index full --sae tiny/sae/plain --activations full.bin || fail "windows without text"
index other-name --sae other=tiny/sae/plain --latents one-full.bin ||
	fail "one SAE of another name"
index rows --sae tiny/sae/plain --corpus rows.npy || fail "token ids"
index delphi --sae tiny/sae/plain --latents cache || fail "delphi's cache"
same full rows
same full delphi
saedb-index verify rows >out 2>&1 || fail "verify token ids"
grep -q '64 features of plain, [1-9][0-9]* activations: equal' out || fail "verify rows"
"$PYTHON" - <<'PY'
raw = bytearray(open("rows.npy", "rb").read())
raw[-8] ^= 1
open("rows.npy", "wb").write(raw)
PY
! saedb-index verify rows >out 2>&1 || fail "verify takes other token ids"
grep -q 'not the one that was indexed' out || fail "what verify says"
refuses 1 'are token ids and some are text' --store x --model tiny/model \
	--sae tiny/sae/plain --corpus rows.npy --corpus a.jsonl
refuses 1 '--joined is of no use here' --store x --model tiny/model \
	--sae tiny/sae/plain --corpus rows.npy --joined
refuses 1 'delphi.s cache: index it with its SAE alone' --store x --model tiny/model \
	--sae tiny/sae/plain --sae tiny/sae/topk --latents cache
ok "token ids and delphi's cache, as the model itself"

"$PYTHON" - <<'PY'
import struct
ids = range(3, 53)
head = "{'descr': '<u2', 'fortran_order': False, 'shape': (50,), }".ljust(117) + "\n"
open("flat.npy", "wb").write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) +
                             head.encode() + struct.pack("<50H", *ids))
PY
index flat --sae tiny/sae/plain --corpus flat.npy --context 20 || fail "a flat array"
grep -q '50 tokens of flat in 3 windows' out || grep -q '50 tokens of flat.npy in 3 windows' out ||
	fail "how a flat array is cut"
ok "token ids in a row, as 16 bits"

mkdir with-model
cp acts.bin with-model/0.safetensors
refuses 1 'ends in its middle\|belong to no tensor\|damaged' --store x --model tiny/model \
	--sae tiny/sae/plain --activations with-model
rm -r with-model
shards split acts.bin with-model
cp -r tiny/model with-model/model
saedb-index --quiet --store beside --sae tiny/sae/plain --sae tiny/sae/topk \
	--activations with-model >out 2>&1 || fail "a model beside its shards"
rm with-model/model/model.safetensors
saedb-index --quiet --store bare --sae tiny/sae/plain --sae tiny/sae/topk \
	--activations with-model >out 2>&1 || fail "a model without weights"
same file beside
content bare | grep -v '^promoted\|^suppressed' >bare.txt
content file | grep -v '^promoted\|^suppressed' >file.txt
cmp bare.txt file.txt >out 2>&1 || fail "weights change more than logit effects"
ok "models beside shards, with weights and without"

n=0
while read -r kind text; do
	shards spoil "$kind" acts.bin >bad.bin
	refuses 1 "$text" --store bad --model tiny/model --sae tiny/sae/plain --activations \
		bad.bin
	n=$((n + 1))
done <<'KINDS'
no-last ends behind [0-9]* shards without the last one
two-lasts shard 1: comes behind the last one
gap shard 1: calls itself shard 2
no-number "shard" in its __metadata__ is not its number
another-format "saedb" is "shards 9"
no-shard no shard: its __metadata__ has no "saedb"
past-vocabulary shard 1: token 3 has the id 100000
negative-token value 3 of tokens is -7
float-tokens tokens is of F32, not of integers
no-windows there is no tensor "windows"
window-empty window 1 goes from token 5 to 5
window-short windows go from 0 to 7
document-jump documents\[[0-9]*\] is 100000
document-back documents\[[0-9]*\] is 0
span-past are not in its document's text
span-backwards are not in its document's text
no-spans has "text" but no "spans"
text-short is more than is left of "text"
notes-broken is no array of the [0-9]* documents
notes-few is no array of the [0-9]* documents
nan the activation of token 0 in dimension 5 of .* is not finite
infinite the activation of token 0 in dimension 5 of .* is not finite
another-hook holds no activations at blocks.1.hook_resid_pre, .* but at blocks.0.hook_mlp_out
narrow one row for each token, as wide as the SAE reads
KINDS
[ "$n" = "$(shards kinds | wc -l)" ] || fail "a kind of damage is not tried"
[ -z "$(ls bad/tmp)" ] || fail "scratch files are left"
ok "$n kinds of damage"

refuses 2 'exclude one another' --store x --model tiny/model --sae tiny/sae/plain \
	--activations acts.bin --latents latents.bin
refuses 1 'has no plain.rows' --store x --model tiny/model --sae tiny/sae/plain \
	--latents acts.bin
refuses 1 '--context is of no use here' --store x --model tiny/model \
	--sae tiny/sae/plain --activations acts.bin --context 12
refuses 1 'raise --memory' --store x --model tiny/model --sae tiny/sae/plain \
	--activations acts.bin --memory 65M
refuses 1 'does not begin with the length' --store x --model tiny/model \
	--sae tiny/sae/plain --activations a.jsonl
refuses 1 'there is no directory "model"' --store x --sae tiny/sae/plain \
	--activations acts.bin
ok "wrong usage"
done_testing
