# SPDX-License-Identifier: ISC
# SAEs of other families through the indexer: one that chooses in groups, one that
# names no hook, transcoders.
set -eu
. "$srcdir/tests/indexer/lib.sh"

PYTHONPATH="$srcdir/tests/indexer" "$PYTHON" - <<'END'
import json
import pathlib

from make_tiny import D, D_SAE, Noise, safetensors

noise = Noise(77)
enc = noise.tensor(0.5, D_SAE, D)
bias = [D_SAE], [v - 0.5 for v in noise.tensor(0.2, D_SAE)[1]]
dec, b_dec = noise.tensor(0.3, D_SAE, D), noise.tensor(0.1, D)


def make(name, weights, tensors, config=None):
    out = pathlib.Path("tiny/other") / name
    out.mkdir(parents=True)
    safetensors(out / weights, tensors)
    if config:
        (out / "cfg.json").write_text(json.dumps(config))


make("layers.1", "sae.safetensors",
     {"encoder.weight": enc, "encoder.bias": bias, "W_dec": dec, "b_dec": b_dec},
     {"activation": "groupmax", "k": 8, "d_in": D, "num_latents": D_SAE})
make("nameless", "x.safetensors",
     {"encoder_linear.weight": enc, "encoder_linear.bias": bias,
      "decoder_linear.weight": ([D, D_SAE], dec[1]), "decoder_linear.bias": b_dec})

out = pathlib.Path("tiny/other/scope/checkpoints")
out.mkdir(parents=True)
safetensors(out / "final.safetensors",
            {"encoder.weight": enc, "encoder.bias": bias,
             "decoder.weight": ([D, D_SAE], dec[1]), "decoder.bias": b_dec})
(out.parent / "hyperparams.json").write_text(json.dumps({
    "hook_point_in": "blocks.1.hook_resid_pre", "hook_point_out": "blocks.1.hook_resid_pre",
    "d_model": D, "d_sae": D_SAE, "act_fn": "jumprelu", "jump_relu_threshold": 0.4,
    "dataset_average_activation_norm": {"in": 7, "out": 7}}))

# Block 1 reads what block 0 gave: the identity explains all of it.
same = [D, D], [float(i % (D + 1) == 0) for i in range(D * D)]
for name, to in (("same", "blocks.0.hook_resid_post"), ("mid", "blocks.1.hook_resid_mid")):
    make(name, "sae_weights.safetensors",
         {"W_enc": ([D, D_SAE], enc[1]), "b_enc": bias, "W_dec": ([D_SAE, D], [0] * D_SAE * D),
          "b_dec": Noise.same(0, D), "W_skip": same},
         {"architecture": "skip_transcoder", "d_in": D, "d_out": D, "d_sae": D_SAE,
          "apply_b_dec_to_input": False, "metadata": {
              "sae_lens_version": "6.54.12", "model_name": "tiny", "prepend_bos": True,
              "hook_name": "blocks.1.hook_resid_pre", "hook_name_out": to}})
make("narrow", "sae_weights.safetensors",
     {"W_enc": ([D, D_SAE], enc[1]), "b_enc": bias, "W_dec": ([D_SAE, 16], [0] * D_SAE * 16),
      "b_dec": Noise.same(0, 16)},
     {"architecture": "transcoder", "d_in": D, "d_out": 16, "d_sae": D_SAE,
      "apply_b_dec_to_input": False, "metadata": {
          "sae_lens_version": "6.54.12", "model_name": "tiny", "prepend_bos": True,
          "hook_name": "blocks.1.hook_resid_pre",
          "hook_name_out": "blocks.1.hook_mlp_out"}})
END

index s --threads 2 --sae tiny/other/layers.1 --corpus tiny/a.jsonl || fail "groupmax"
saedb-index verify s --features 96 >out 2>&1 || fail "verify"
index t --threads 1 --sae tiny/other/layers.1 --corpus tiny/a.jsonl || fail "groupmax"
diff <("$dump_store" s) <("$dump_store" t) >out || fail "one thread finds other features"
ok "the largest of each group"

refuses 1 'give it with --hook' --quiet --store u --model tiny/model \
	--sae tiny/other/nameless --corpus tiny/a.jsonl
index u --hook blocks.1.hook_resid_mid --sae tiny/other/nameless \
	--corpus tiny/a.jsonl || fail "--hook"
saedb-index verify u >out 2>&1 || fail "verify with a given hook"
refuses 1 'the store has tiny/other/nameless at blocks.1.hook_resid_mid' --quiet --store u \
	--model tiny/model --sae tiny/other/nameless --corpus tiny/b.jsonl \
	--hook blocks.0.hook_resid_mid
ok "a hook that no file names"

index v --sae tiny/other/same --sae tiny/other/mid --corpus tiny/a.jsonl || fail "index"
grep -q 'same .*explained variance 1.000' out || fail "same"
! grep -q 'mid .*explained variance 1.000' out || fail "mid"
saedb-index verify v >out 2>&1 || fail "verify of transcoders"
[ "$(ls v/graph | wc -l)" = 2 ] || fail "neighbors between two streams"
ok "transcoders explain what stands at the hook they give"

for command in '--quiet --store x' diagnose; do
	refuses 1 'narrow gives 16 dimensions, but blocks.1.hook_mlp_out of .* has 32' \
		$command --model tiny/model --sae tiny/other/narrow --corpus tiny/a.jsonl
done
ok "a transcoder of two widths"

index w --sae tiny/other/scope --corpus tiny/a.jsonl || fail "scope"
index w --sae theirs=tiny/other/scope --saelens-rule --corpus tiny/a.jsonl ||
	fail "--saelens-rule"
saedb-index verify w >out 2>&1 || fail "verify of both rules"
[ "$(ls w/sae | wc -l)" = 2 ] || fail "both rules are one SAE"
ok "two rules for the same files are two SAEs"

done_testing
