# SPDX-License-Identifier: ISC
# saedb-index from an empty directory on: runs, what they share, what is removed.
set -eu
. "$srcdir/tests/indexer/lib.sh"

saedb-index --help >help || fail "--help"
for o in $(sed -n 's/^  --\([a-z-]*\).*/\1/p' help); do
	grep -q -- "Fl -$o" "$srcdir/doc/saedb-index.1" || fail "the man page lacks --$o"
done
saedb-index --version | grep -q '^saedb-index [0-9]' || fail "--version"
ok "help, version, man page"

index s --sae tiny/sae/plain --sae J=tiny/sae/jump --corpus tiny/a.jsonl || fail "index"
grep -q '^run 1: ' out || fail "no run 1"
grep -q 'J  *L0 ' out || fail "no J"
saedb-index list s >out
grep -q '^model tiny ' out || fail "the model is not called what the SAEs call it"
grep -q '^run 1 .*tiny on a: ' out || fail "list"
[ -z "$(find s/tmp -mindepth 1 2>/dev/null)" ] || fail "something is left in tmp"
ok "a first run"

before=$(dump s)
index s --sae J=tiny/sae/jump --sae tiny/sae/plain --corpus tiny/a.jsonl || fail "again"
grep -q 'run 1 is there already' out || fail "it does not say that it is there"
[ "$(dump s)" = "$before" ] || fail "the store changed"
ok "the same again changes nothing"

index s --sae tiny/sae/topk --corpus tiny/a.jsonl || fail "another SAE"
[ "$(ls s/cut | wc -l)" = 1 ] || fail "the cut is not shared"
[ "$(ls s/graph | wc -l)" = 9 ] || fail "$(ls s/graph | wc -l) graphs, not 9"
index s --sae J=tiny/sae/jump --corpus tiny/b.jsonl || fail "another corpus"
[ "$(ls s/cut | wc -l)" = 2 ] || fail "no second cut"
[ "$(ls s/sae | wc -l)" = 3 ] || fail "SAEs are not shared"
saedb-index verify s >out 2>&1 || fail "verify"
ok "another SAE and another corpus share what is there"

refuses 1 'the store calls another SAE J' --store s --model tiny/model \
	--sae j=tiny/sae/late --corpus tiny/a.jsonl
refuses 1 'two SAEs are called x' --store s --model tiny/model \
	--sae x=tiny/sae/late --sae x=tiny/sae/topk --corpus tiny/a.jsonl
refuses 1 'are the same SAE' --store s --model tiny/model \
	--sae x=tiny/sae/late --sae y=tiny/sae/late --corpus tiny/a.jsonl
saedb-index rename J jumping --store s >out 2>&1 || fail "rename"
saedb-index list s | grep -q '  jumping ' || fail "not renamed"
refuses 1 'J' rename J other --store s
ok "names"

saedb-index du s >out || fail "du"
grep -q 'in all' out || fail "du"
saedb-index rm 3 --store s >out || fail "rm"
saedb-index rm 2 --store s >out || fail "rm"
refuses 1 'there is no run 3' rm 3 --store s
saedb-index gc s >out || fail "gc"
grep -q '^freed [1-9]' out || fail "gc freed nothing"
[ "$(ls s/cut | wc -l) $(ls s/sae | wc -l) $(ls s/run | wc -l)" = "1 2 1" ] ||
	fail "gc left what nothing names: $(ls s/cut s/sae s/run)"
saedb-index verify s >out 2>&1 || fail "verify after gc"
index s --sae tiny/sae/topk --corpus tiny/a.jsonl || fail "index after gc"
grep -q '^run 4: ' out || fail "a number was used twice"
ok "rm, gc, du"

index two --sae tiny/sae/plain --sae tiny/sae/late --sae tiny/sae/short \
	--corpus tiny/a.jsonl || fail "two contexts"
[ "$(saedb-index list two | grep -c '^run ')" = 2 ] || fail "not two runs"
saedb-index list two | grep -q 'context 12' || fail "no context of 12"
saedb-index verify two >out 2>&1 || fail "verify two contexts"
ok "SAEs of two contexts are two runs"

index opt --sae tiny/sae/plain --corpus tiny/b.jsonl --joined --bos no --context 16 \
	--examples 3 --interval-samples 2 --dedup-radius 0 --count-special --seed 7 \
	--max-tokens 1000 || fail "options"
saedb-index list opt | grep -q '992 tokens in 62 windows.*context 16, joined' ||
	fail "joined windows"
saedb-index verify opt --features 96 --seed 3 >out 2>&1 || fail "verify with options"
gzip -k tiny/b.jsonl
zstd -q tiny/b.jsonl 2>/dev/null || cp tiny/b.jsonl tiny/b.jsonl.zst
index gz --sae tiny/sae/plain --corpus tiny/b.jsonl.gz || fail "gz"
index zst --sae tiny/sae/plain --corpus tiny/b.jsonl.zst || fail "zst"
saedb-index --quiet --store in --model tiny/model --sae tiny/sae/plain --corpus - \
	<tiny/b.jsonl >out 2>&1 || fail "standard input"
[ "$(dump gz)" = "$(dump zst)" ] && [ "$(dump gz)" = "$(dump in)" ] ||
	fail "compression matters"
saedb-index verify in >out 2>&1 || fail "verify after standard input"
grep -q 'came from standard input' out || fail "it does not warn"
ok "options, compression, standard input"
# What Hugging Face's cache holds goes by its name; files are links to blobs there.
export HF_HUB_CACHE=$PWD/hub
commit=607a30d783dfa663caf39e06633721c8d4cfcd7e
at=$HF_HUB_CACHE/models--org--tiny
mkdir -p "$at/snapshots/$commit/saes/plain" "$at/blobs" "$at/refs"
printf %s $commit >"$at/refs/main"
for f in model/config.json model/model.safetensors model/tokenizer.json \
	model/tokenizer_config.json sae/plain/cfg.json sae/plain/sae_weights.safetensors; do
	blob=$(sha256sum <tiny/$f | cut -c1-64)
	cp tiny/$f "$at/blobs/$blob"
	case $f in
	model/*) ln -s "../../blobs/$blob" "$at/snapshots/$commit/${f#model/}" ;;
	*) ln -s "../../../../blobs/$blob" "$at/snapshots/$commit/saes/${f#sae/}" ;;
	esac
done
saedb-index --quiet --store cached --model org/tiny --sae org/tiny:saes/plain \
	--corpus tiny/b.jsonl >out 2>&1 || fail "index by names"
saedb-index list cached >out
grep -q '^model tiny ' out || fail "the model's name"
grep -q '^  plain ' out || fail "the SAE's name"
saedb-index verify cached >out 2>&1 || fail "verify of what was indexed by names"
refuses 1 'has no org/other at revision main; .hf download org/other. puts' --store cached \
	--model org/other --sae org/tiny:saes/plain --corpus tiny/b.jsonl
refuses 1 'with saes/jump; .hf download org/tiny --include "saes/jump/\*". puts' --store cached \
	--model org/tiny --sae org/tiny:saes/jump --corpus tiny/b.jsonl
ok "names in Hugging Face's cache"

# An SAE by SAELens' name, with what its list says beside the files: centred.
id=blocks.1.hook_resid_pre
at=$HF_HUB_CACHE/models--jbloom--GPT2-Small-SAEs-Reformatted
mkdir -p "$at/snapshots/main"
cp -r tiny/sae/plain "$at/snapshots/main/$id"
saedb-index inspect gpt2-small-res-jb:$id >out 2>&1 || fail "inspect RELEASE:ID"
grep -q 'rules *float32; x - mean(x); x - b_dec' out || fail "the release's rules"
index released --sae gpt2-small-res-jb:$id --sae jb=tiny/sae/plain \
	--corpus tiny/b.jsonl || fail "index RELEASE:ID"
saedb-index list released >out
grep -q "^  gpt2-small-res-jb:$id " out || fail "the name of a release's SAE"
saedb-index verify released >out 2>&1 || fail "verify a release's SAE"
index released2 --sae jb=gpt2-small-res-jb:$id --corpus tiny/b.jsonl ||
	fail "NAME=RELEASE:ID"
saedb-index list released2 >out
grep -q '^  jb ' out || fail "the given name of a release's SAE"
# another, whose list tells the factor that activations were scaled by
at=$HF_HUB_CACHE/models--tommmcgrath--gpt2-small-mlp-out-saes/snapshots/main
mkdir -p "$at"
cp -r tiny/sae/plain "$at/sae_group_gpt2_blocks.1.hook_mlp_out_24576:v0"
sed -i 's/"normalize_activations": "none"/"normalize_activations": "expected_average_only_in"/
	s/blocks.1.hook_resid_pre/blocks.1.hook_mlp_out/' "$at"/*/cfg.json
index scaled --sae gpt2-small-mlp-tm:blocks.1.hook_mlp_out --corpus tiny/b.jsonl ||
	fail "index a scaled SAE"
saedb-index inspect gpt2-small-mlp-tm:blocks.1.hook_mlp_out >out 2>&1
grep -q 'x - mean(x); .*expected_average_only_in folded, x \* 2.3693984' out ||
	fail "the release's factor"
saedb-index verify scaled >out 2>&1 || fail "verify a scaled SAE"
refuses 1 'no "blocks.1.resid_pre" among its 13 SAEs; near are blocks.1.hook_resid_pre' \
	inspect gpt2-small-res-jb:blocks.1.resid_pre
refuses 1 'releases that are near: gpt2-small-res-jb' --store x --model tiny/model \
	--sae gpt2-small-res:$id --corpus tiny/b.jsonl
refuses 1 '.hf download jbloom/GPT2-Small-SAEs-Reformatted --include "blocks.2' \
	--store x --model tiny/model --sae gpt2-small-res-jb:blocks.2.hook_resid_pre \
	--corpus tiny/b.jsonl
refuses 1 'not supported: a feature depends on the tokens before' \
	inspect temporal-sae-gemma-2-2b:blocks.12.hook_resid_post
ok "names of SAELens' releases"

# A model by TransformerLens' name, under either of the repository's.
mkdir -p "$HF_HUB_CACHE/models--openai-community--gpt2/snapshots"
cp -r tiny/model "$HF_HUB_CACHE/models--openai-community--gpt2/snapshots/main"
saedb-index --quiet --store named --model gpt2-small --sae tiny/sae/plain \
	--corpus tiny/b.jsonl >out 2>&1 || fail "index gpt2-small"
saedb-index inspect gpt2 >out 2>&1 || fail "inspect gpt2"
grep -q 'models--openai-community--gpt2/snapshots/main: a language model' out ||
	fail "inspect a model by name"
refuses 1 'gemma-2-2b is no directory, but a name of google/gemma-2-2b: .*hf download' \
	--store x --model gemma-2-2b --sae tiny/sae/plain --corpus tiny/b.jsonl
ok "names of models"
done_testing
