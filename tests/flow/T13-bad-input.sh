# SPDX-License-Identifier: ISC
# Wrong usage and bad input: one clear line, and nothing is stored.
set -eu
. "$srcdir/tests/indexer/lib.sh"

refuses 2 'store is missing' --model tiny/model --sae x --corpus y
refuses 2 'model is missing' --store s --sae x --corpus y
refuses 2 'sae is missing' --store s --model tiny/model --corpus y
refuses 2 'corpus is missing' --store s --model tiny/model --sae x
refuses 2 'no option --stroe' --stroe s
refuses 2 'no command' indx
refuses 2 'out of range' --store s --examples 1000
refuses 2 'no whole number' --store s --examples many
refuses 2 'no whole number' --store s --examples -3
refuses 2 'no size' --store s --memory 4X
refuses 2 'none of auto|yes|no' --store s --bos maybe
refuses 2 'needs its' --store s --examples
refuses 2 'takes no value' --store s --strict=yes
refuses 2 'no option of list' list s --examples 3
refuses 2 'usage: saedb-index rename' rename one --store s
ok "usage"

# bad TEXT OPTION...: on top of store, model, one SAE and corpus a
bad()
{
	local text=$1
	shift
	refuses 1 "$text" --quiet --store s --model tiny/model --sae tiny/sae/plain \
		--corpus tiny/a.jsonl "$@"
}
: >tiny/empty.jsonl
printf '{"text": ""}\n{"text": ""}\n' >tiny/blank.jsonl
refuses 1 'corpus is empty' --quiet --store s --model tiny/model --sae tiny/sae/plain \
	--corpus tiny/empty.jsonl
refuses 1 'corpus is empty' --quiet --store s --model tiny/model --sae tiny/sae/plain \
	--corpus tiny/blank.jsonl --corpus tiny/empty.jsonl
bad 'no such file\|No such file' --corpus tiny/none.jsonl
bad 'is a directory' --corpus tiny/model
printf '{"text": "one"}\n{"text": "two"\n' >tiny/bad.jsonl
bad 'tiny/bad.jsonl:2: ' --corpus tiny/bad.jsonl
printf '{"text": "one"}\n\n{"body": "two"}\n' >tiny/bad.jsonl
bad 'tiny/bad.jsonl:3: .*no "text".*--text-field' --corpus tiny/bad.jsonl
printf '{"text": 5}\n' >tiny/bad.jsonl
bad 'tiny/bad.jsonl:1: "text" is not a string' --corpus tiny/bad.jsonl
printf '["text"]\n' >tiny/bad.jsonl
bad 'tiny/bad.jsonl:1: not a JSON object' --corpus tiny/bad.jsonl
printf '{"text": "a\377b"}\n' >tiny/bad.jsonl
bad 'tiny/bad.jsonl:1:12: byte 0xff is not valid UTF-8' --corpus tiny/bad.jsonl
printf 'fine\nnot \302 fine\n' >tiny/bad.txt
bad 'tiny/bad.txt:2:5: byte 0xc2 is not valid UTF-8 (--strict)' --corpus tiny/bad.txt \
	--strict
{ printf '{"text": "'; head -c 67200000 /dev/zero | tr '\0' x; printf '"}\n'; } >tiny/long.jsonl
bad 'tiny/long.jsonl: line 1 is longer than the limit of 67108864' --corpus tiny/long.jsonl
rm tiny/long.jsonl
gzip -c tiny/b.jsonl | head -c 500 >tiny/cut.jsonl.gz
bad 'tiny/cut.jsonl.gz' --corpus tiny/cut.jsonl.gz
printf '{"text": "the fog"}\n' >tiny/short.jsonl
refuses 1 'fewer than one joined window' --quiet --store s --model tiny/model \
	--sae tiny/sae/plain --corpus tiny/short.jsonl --joined
ok "corpora"

[ ! -e s ] || [ "$(saedb-index list s)" = "no runs" ] || fail "something was stored"
index s --sae tiny/sae/plain --corpus tiny/bad.txt || fail "bytes that are no UTF-8"
head -c 52428800 /dev/zero | tr '\0' ' ' >tiny/fifty.txt
index fifty --sae tiny/sae/plain --corpus tiny/fifty.txt --max-tokens 2000 ||
	fail "a line of 50 MB"
rm tiny/fifty.txt
ok "bytes that are no UTF-8, and a line of 50 MB, are taken"

# change FILE PYTHON: edits a JSON file, d being its content
change()
{
	"$PYTHON" - "$1" "$2" <<'PY'
import json, sys
d = json.load(open(sys.argv[1]))
exec(sys.argv[2])
json.dump(d, open(sys.argv[1], "w"))
PY
}
# spoilt SAE-CHANGE TEXT
spoilt()
{
	rm -rf tiny/sae/spoilt
	cp -r tiny/sae/plain tiny/sae/spoilt
	change tiny/sae/spoilt/cfg.json "$1"
	refuses 1 "$2" --quiet --store s --model tiny/model --sae tiny/sae/spoilt \
		--corpus tiny/a.jsonl
}
spoilt 'd["metadata"]["hook_name"] = "blocks.7.hook_resid_pre"' 'blocks.7'
spoilt 'd["metadata"]["hook_name"] = "blocks.0.hook_nonsense"' 'hook_nonsense'
spoilt 'd["d_in"] = 31' '31'
spoilt 'd["d_sae"] = 95' '95'
spoilt 'd["architecture"] = "temporal"' 'temporal'
bad '--context 25 is longer than the 24 tokens' --context 25
bad 'holds no token beside BOS\|out of range' --context 1
bad 'leaves not one window' --max-tokens 1
bad 'are not enough' --memory 1M
rm -rf tiny/sae/spoilt
cp -r tiny/sae/plain tiny/sae/spoilt
"$PYTHON" - <<'PY'
import struct
p = "tiny/sae/spoilt/sae_weights.safetensors"
b = bytearray(open(p, "rb").read())
b[-4:] = struct.pack("<f", float("nan"))
open(p, "wb").write(b)
PY
bad 'NaN\|nan\|not finite' --sae tiny/sae/spoilt
head -c 1000 tiny/sae/plain/sae_weights.safetensors >tiny/sae/spoilt/sae_weights.safetensors
bad 'sae_weights.safetensors' --sae tiny/sae/spoilt
mkdir tiny/other
cp tiny/model/* tiny/other
change tiny/other/config.json 'd["n_embd"] = 64'
refuses 1 'tiny/other' --store s --model tiny/other --sae tiny/sae/plain \
	--corpus tiny/a.jsonl
cp tiny/model/config.json tiny/other
change tiny/other/tokenizer_config.json 'd.pop("bos_token"); d.pop("eos_token")'
change tiny/other/tokenizer.json 'd["added_tokens"].clear()'
refuses 1 'names no bos_token' --store s --model tiny/other --sae tiny/sae/plain \
	--corpus tiny/a.jsonl
ok "models and SAEs"

mkdir foreign
echo hello >foreign/file
refuses 1 'foreign' --quiet --store foreign --model tiny/model --sae tiny/sae/plain \
	--corpus tiny/a.jsonl
refuses 1 'nowhere' list nowhere
refuses 1 'nowhere' verify nowhere
[ "$(cat foreign/file)" = hello ] || fail "a directory that is no store was touched"
ok "stores"

if unshare -rm true 2>/dev/null || [ "$(id -u)" = 0 ]; then
	full()
	{
		mkdir -p small
		mount -t tmpfs -o size="$1" tmpfs small || return 77
		rc=0
		index small/s --sae tiny/sae/plain --corpus tiny/a.jsonl || rc=$?
		[ $rc = 1 ] || { cat out; echo "ended with $rc at $1"; return 1; }
		grep -qi 'space\|full' out || { cat out; return 1; }
		rm -rf small/s/tmp/*
		[ ! -e small/s/catalog.db ] || saedb-index list small/s >out 2>&1 ||
			{ cat out; return 1; }
		umount small
	}
	export -f full index
	wrap=
	[ "$(id -u)" = 0 ] || wrap="unshare -rm"
	for size in 64k 400k 1500k; do
		rc=0
		$wrap bash -c "full $size" || rc=$?
		umount small 2>/dev/null || :
		[ $rc != 77 ] || break
		[ $rc = 0 ] || fail "a full disk of $size"
	done
	[ $rc = 77 ] && echo "ok - a full disk # SKIP tmpfs cannot be mounted" ||
		ok "a full disk"
fi
ulimit -f 200
rc=0
index limited --sae tiny/sae/plain --corpus tiny/a.jsonl || rc=$?
[ $rc = 1 ] || fail "a file size limit ends it with $rc"
ulimit -f unlimited 2>/dev/null || :
ok "a limit on the size of files"
done_testing
