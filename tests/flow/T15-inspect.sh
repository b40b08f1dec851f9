# SPDX-License-Identifier: ISC
# inspect says what directories hold, and names each oddity that is planted.
set -eu
. "$srcdir/tests/indexer/lib.sh"

saedb-index inspect tiny/model tiny/sae/plain tiny/sae/jump tiny/sae/topk >out 2>&1 ||
	fail "inspect"
for text in 'tiny/model: a language model' 'family *gpt2 (GPT2LMHeadModel)' \
	'shape *2 layers, d_model 32, 4 heads of 8, MLP 128' 'context *24 tokens' \
	'tokenizer *[0-9]* ids, BOS 0$' 'tiny/sae/plain: an SAE' \
	'family *saelens 6.54.12, standard (relu)' 'shape *d_in 32, 96 features, d_out 32, F32' \
	'hook *blocks.1.hook_resid_pre of tiny' 'context *24 tokens, with BOS' \
	'rules *float32; x - b_dec; relu(pre)$' 'rules *.*pre > threshold$' 'k  *5$'; do
	grep -q -- "$text" out || fail "inspect does not say '$text'"
done
grep -q "$(sha256sum <tiny/sae/jump/sae_weights.safetensors | cut -c1-64)" out ||
	fail "not the hash of the file"
index s --sae tiny/sae/jump --corpus tiny/b.jsonl || fail "index"
id=$(saedb-index list s | sed -n 's/^  jump *\([0-9a-f]*\) .*/\1/p')
saedb-index inspect tiny/sae/jump >out
[ -n "$id" ] && grep -q "SAE *$id" out || fail "not the hash that the store knows it by"
ok "what it is"

# plant DIR TENSOR FIRST COUNT VALUE: overwrites floats of a copy of tiny/sae/jump.
plant()
{
	[ -d "$1" ] || cp -r tiny/sae/jump "$1"
	"$PYTHON" - "$@" <<'PY'
import json, struct, sys
path, name = sys.argv[1] + "/sae_weights.safetensors", sys.argv[2]
first, count, value = int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
b = bytearray(open(path, "rb").read())
n = struct.unpack("<Q", b[:8])[0]
at = 8 + n + json.loads(b[8:8 + n])[name]["data_offsets"][0] + 4 * first
b[at:at + 4 * count] = struct.pack("<f", value) * count
open(path, "wb").write(b)
PY
}

# odd DIR TEXT
odd()
{
	saedb-index inspect "$1" >out 2>&1 || fail "inspect $1"
	grep -q -- "$2" out || fail "inspect $1 does not say '$2'"
	! grep -q 'odd *nothing' out || fail "inspect $1 sees nothing"
}
plant zero W_dec 0 96 0
odd zero '3 decoder rows are zero: dead features'
plant long W_dec 0 3072 0.5
odd long 'decoder rows are not of unit norm'
odd long 'threshold  *[0-9.e-]* to [0-9.e-]*, median'
plant below threshold 0 7 -0.5
odd below '7 thresholds are negative'
plant flat threshold 0 96 0
odd flat 'every threshold is 0: a plain relu'
odd tiny/sae/plain 'hardly align'
cp -r tiny/sae/topk many
sed -i 's/"k": 5/"k": 60/' many/cfg.json
odd many 'k is 60 of 96 features'
cp -r tiny/sae/plain silent
plant silent W_enc 0 3072 0
odd silent '9[0-9]* features can never fire'
data=$srcdir/tests/model/data
odd "$data/fam-saelens-old" 'trained before SAELens 3.19.2, which centred'
odd "$data/fam-saelens-old-points" 'diagnose tells whether its input was centred'
saedb-index inspect "$data/sae-standard" "$data/sae-standard-centred" >out || fail "inspect"
! grep -q 'trained before SAELens' out || fail "a new SAE is taken for an old one"
ok "what is odd"

plant nan W_dec 40 1 nan
refuses 1 'W_dec' inspect nan
refuses 1 '2 of 3 directories would not be indexed' inspect nan tiny/sae/plain nowhere
grep -q 'tiny/sae/plain: an SAE' out || fail "what is good is not told beside what is bad"
grep -q '^nowhere is no directory' out || fail "what is not there is not named"
rm -rf bare
cp -r tiny/model bare
rm bare/tokenizer.json
saedb-index inspect bare >out 2>&1 || fail "a model without a tokenizer"
grep -q 'tokenizer .*bare' out || fail "it does not say that there is no tokenizer"
refuses 2 'usage: saedb-index inspect' inspect
refuses 2 'no option of inspect' inspect tiny/model --store s
ok "what is wrong"
done_testing
