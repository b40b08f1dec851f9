# SPDX-License-Identifier: ISC
# A model whose hooks differ in width: each SAE reads its own, verify agrees, and
# nothing depends on threads.
set -eu
. "$srcdir/tests/indexer/lib.sh"
rm -rf tiny/model
mv tiny/llama tiny/model
index s --sae tiny/sae/heads --sae tiny/sae/normed --sae tiny/sae/module \
	--corpus tiny/a.jsonl || fail "index"
saedb-index verify s --features 96 --seed 3 >out 2>&1 || fail "verify"
for sae in heads normed module; do
	grep -q "96 features of $sae, [1-9][0-9]* activations: equal" out ||
		fail "what verify says of $sae"
done
ok "three hooks"

index one --threads 1 --batch-tokens 64 --sae tiny/sae/heads --sae tiny/sae/normed \
	--sae tiny/sae/module --corpus tiny/a.jsonl || fail "index on one thread"
"$dump_store" s >s.txt
"$dump_store" one >one.txt
[ -s s.txt ] && cmp s.txt one.txt || fail "threads and batches change the store"
ok "threads and batches"

sed -i 's/"reshape_activations": "none"/"reshape_activations": "hook_z"/' \
	tiny/sae/heads/cfg.json
grep -q hook_z\", tiny/sae/heads/cfg.json || fail "nothing to reshape"
index s --sae tiny/sae/heads --sae tiny/sae/normed --sae tiny/sae/module \
	--corpus tiny/a.jsonl || fail "heads that SAELens reshapes"
grep -q 'run 1 is there already' out || fail "they are not laid side by side"
sed -i 's/"hook_z", /"none", /' tiny/sae/heads/cfg.json
ok "heads that SAELens reshapes"

cp -r tiny/sae/heads tiny/sae/centred
sed -i 's/"prepend_bos": true/&, "model_from_pretrained_kwargs": {"center_writing_weights": true}/' \
	tiny/sae/centred/cfg.json
refuses 1 'center_writing_weights is not supported at blocks.1.attn.hook_z' --store x \
	--model tiny/model --sae tiny/sae/centred --corpus tiny/a.jsonl
ok "centring where nothing is centred"

sed -i 's/blocks.1.attn.hook_z/blocks.1.hook_attn_out/' tiny/sae/heads/cfg.json
refuses 1 'reads 48 dimensions, but blocks.1.hook_attn_out' --store x \
	--model tiny/model --sae tiny/sae/heads --corpus tiny/a.jsonl
ok "a width that the hook does not have"
done_testing
