# SPDX-License-Identifier: ISC
# diagnose names what is wrong with SAEs that are right in closed form by one rule alone
# (tests/model/make_fixtures_planted.py): where they read, heads, W_skip, centring, BOS.
set -eu
: "${PYTHON:=/usr/bin/python3}"
command -v "$PYTHON" >/dev/null || PYTHON=python3
if ! command -v "$PYTHON" >/dev/null; then
	echo "# skip: there is no python3"
	exit 77
fi
n_ok=0
model=model
PYTHONDONTWRITEBYTECODE=1 "$PYTHON" "$srcdir/tests/indexer/planted_model.py" .

fail()
{
	echo "not ok - $*"
	[ ! -s out ] || sed 's/^/# /' out
	exit 1
}

ok()
{
	n_ok=$((n_ok + 1))
	echo "ok $n_ok - $*"
}

diagnose()
{
	status=0
	saedb-index diagnose --model "$model" --sae "$1" --corpus corpus.jsonl >out 2>&1 ||
		status=$?
}

own()
{
	diagnose "$srcdir/tests/model/data/planted/$1"
	[ $status = 0 ] || fail "diagnose $1 ends with $status"
	grep -q 'its own rules fit best' out || fail "another rule than $1's is chosen"
}

# named SAE WHAT BY TEXT: with BY for WHAT in its config.
named()
{
	rm -rf sae
	cp -r "$srcdir/tests/model/data/planted/$1" sae
	chmod -R u+w sae
	grep -q "$2" sae/cfg.json || fail "$1 has no $2"
	sed -i "s/$2/$3/" sae/cfg.json
	diagnose sae
	[ $status = 1 ] || fail "diagnose of $1 with $3 ends with $status"
	grep -q "^[*].* $4" out || fail "diagnose of $1 with $3 does not choose '$4'"
	grep -q "this fits better: $4" out || fail "it does not say '$4'"
}

for sae in post mid mlp-in mlp-input normalized; do
	own $sae
done
grep -q 'mlp.hook_in, behind the norm' out || fail "what stands behind is not tried"
! grep -q 'heads interleaved\|W_skip\|thresholds\|one layer above' out ||
	fail "what cannot be is tried"
ok "their own rules"

named post hook_resid_post hook_resid_pre 'hook_resid_post of its layer'
named post hook_resid_post hook_resid_mid 'hook_resid_post of its layer'
named mid hook_resid_mid hook_resid_post 'hook_resid_mid of its layer'
named mid hook_resid_mid hook_resid_pre 'hook_resid_mid of its layer'
ok "before, between and behind"

named mlp-in hook_mlp_in ln2.hook_normalized 'hook_mlp_in, before the norm'
named mlp-in hook_mlp_in mlp.hook_in 'hook_mlp_in, before the norm'
named normalized ln2.hook_normalized mlp.hook_in 'ln2.hook_normalized, before the norm'
# A norm without gain is what scaling each token is.
named normalized ln2.hook_normalized hook_mlp_in 'input scaled to norm sqrt(d), each token'
named mlp-input mlp.hook_in ln2.hook_normalized 'mlp.hook_in, behind the norm'
named mlp-input mlp.hook_in hook_mlp_in 'mlp.hook_in, behind the norm'
ok "norms and gains"

named z device device 'heads interleaved'
named skip device device 'W_skip the other way round'
ok "dimensions in another order"

none='"normalize_activations": "none"'
each='input scaled to norm sqrt(d), each token'
normed='input with mean 0 and deviation 1, each token'
named constant device device "$each"
named constant "$none" '"normalize_activations": "layer_norm"' "$each"
named layer device device "$normed"
named layer "$none" '"normalize_activations": "constant_norm_rescale"' "$normed"
named mid "$none" '"normalize_activations": "layer_norm"' 'input not normalised'
ok "norms of each token"

named centred device device 'input centred'
named mid '"prepend_bos": true' '"prepend_bos": false' 'BOS in front of each window'
named mid '"prepend_bos": true' \
	'"prepend_bos": true, "model_from_pretrained_kwargs": {"center_writing_weights": true}' \
	'input not centred'
ok "centring and BOS"

# Gemma 2 has norms behind attention and the MLP.
model=gemma
for sae in mlp-out mlp-module attn-out attn-module; do
	own gemma-$sae
done
named gemma-mlp-out blocks.1.hook_mlp_out layers.1.mlp 'hook_mlp_out, behind the norm'
named gemma-mlp-module layers.1.mlp blocks.1.hook_mlp_out \
	"the MLP's output before the norm"
named gemma-attn-out blocks.1.hook_attn_out layers.1.self_attn \
	'hook_attn_out, behind the norm'
named gemma-attn-module layers.1.self_attn blocks.1.hook_attn_out \
	"attention's output before the norm"
ok "norms behind"
echo "1..$n_ok"
