# SPDX-License-Identifier: ISC
# Approximate indexes through the real programs: built, measured, kept, replaced;
# loaded beside by a daemon that runs, its answers against the exact engine's; damaged,
# cut short and another SAE's ones refused, by name, while searches go on.
set -eu
. "$srcdir/tests/daemon/lib.sh"
make_sae_store=$builddir/tests/tools/make_sae_store
[ -x "$make_sae_store" ] || exit 77
export XDG_RUNTIME_DIR=/nowhere
unset NO_COLOR COLUMNS SAEDB_STORE || :
"$make_sae_store" store c 64 6000 0.6 || fail "make_sae_store c"
"$make_sae_store" store d 64 6000 0.6 7 || fail "make_sae_store d"
"$make_sae_store" store few 64 500 0.6 9 || fail "make_sae_store few"

# refuses TEXT COMMAND...
refuses()
{
	local text=$1 rc=0
	shift
	timeout 120 "$@" >out 2>err </dev/null || rc=$?
	[ $rc != 0 ] || fail "$* does not fail"
	grep -q -- "$text" err || fail "$* says: $(cat err)"
}

# --- building
refuses 'no SAE nobody' saedb-index ann store nobody
refuses '500 features; an index is for 1024' saedb-index ann store few
refuses "makes no index 'Nonsense'" saedb-index ann store c --factory Nonsense
refuses 'takes at least [0-9]* MiB' saedb-index ann store c --memory 1M
refuses 'HNSW8 of c takes about' saedb-index ann store c --factory HNSW8 --memory 1M
refuses 'none of auto|none|all' saedb-index --ann some
[ -z "$(ls store/ann)" ] || fail "what failed left $(ls store/ann)"
saedb-index ann store c --quiet >out || fail "ann c"
grep -q '^c, decoder: IVF128,PQ32x4fs, nprobe [0-9]*, [0-9]* candidates: recall@10 ' out ||
	fail "ann c says $(cat out)"
cp -r store before
saedb-index du store | grep -q ' ann .*c, decoder' || fail "du: $(saedb-index du store)"
saedb-index ann store c | grep -q 'there already' || fail "a second index of c"

ok "indexes are built, and refused"

# --- a daemon that runs sees it, and what comes after
start_daemon s --store store
# state SAE: of its index
state()
{
	timeout 60 saedb -c s --json info >info || fail "info"
	"$PYTHON" -c 'import json, sys
x = [i for i in json.load(open("info"))["indexes"] if i["sae"] == sys.argv[1]]
print(x[0]["state"] if x else "none", x[0]["error"] or "" if x else "")' "$1"
}

# wait_state SAE STATE
wait_state()
{
	for _ in $(seq 200); do
		case "$(state "$1")" in "$2"*) return 0 ;; esac
		sleep 0.1
	done
	fail "the index of $1 is $(state "$1"), not $2"
}

wait_state c loaded
refuses 'no approximate index of d' saedb -c s neighbors d/1 --engine approximate
saedb-index ann store d --quiet >/dev/null || fail "ann d"
wait_state d loaded
[ "$(grep -c 'approximate index of .* is loaded' saedbd.log)" = 2 ] ||
	fail "c was loaded again: $(cat saedbd.log)"
saedb -c s info | grep -q 'recall@10' || fail "info lacks recall"
saedb -c s info | grep -q 'own, .* of mapped files' || fail "info lacks memory"

ok "a daemon that runs sees them"

# --- its answers: what both find has the same bits, and nearly all is found
near()
{
	timeout 60 saedb -c s --json neighbors "$@" </dev/null || fail "neighbors $*"
}

for i in $(seq 0 50 2950); do
	near "d/$i" --engine approximate -k 10 >>approximate
	near "d/$i" --engine exact -k 10 >>exact
done
"$PYTHON" -c 'import json
def lists(name):
    text, at, out = open(name).read(), 0, []
    while text[at:].strip():
        value, n = json.JSONDecoder().raw_decode(text[at:].lstrip())
        at += len(text[at:]) - len(text[at:].lstrip()) + n
        out.append(value)
    return out
found = n = 0
for a, b in zip(lists("approximate"), lists("exact")):
    assert a["engine"] == "approximate" and b["engine"] == "exact", (a, b)
    assert a["searched"][0]["index"].startswith("IVF128,PQ32x4fs, nprobe")
    assert 0.9 < a["searched"][0]["recall"] <= 1 and b["searched"][0]["index"] is None
    want = {x["index"]: x["cosine"] for x in b["neighbors"]}
    for x in a["neighbors"]:
        assert want.get(x["index"], x["cosine"]) == x["cosine"], x
        found += x["index"] in want
    n += len(want)
print(found / n)
assert found / n > 0.98, found / n' || fail "answers"
saedb -c s neighbors c/1 --engine approximate >out || fail "as text"
grep -q 'c: by IVF128.*recall@10' out || fail "as text: $(cat out)"
near c/1 --sae c,d -k 1000 | grep -q '"engine": *"exact"' || fail "auto of small SAEs"
near c/1 --engine approximate -k 1000 >/dev/null
refuses 'engine' saedb -c s neighbors c/1 --engine approximate --metric ip
refuses 'engine' saedb -c s neighbors c/1 --engine approximate --alive

ok "what both engines find is the same"

# --- another in its place, and none
saedb-index ann store c --factory HNSW8 --quiet | grep -q 'HNSW8, efSearch' || fail "HNSW8"
near c/1 >/dev/null # a query sees the new generation
for _ in $(seq 100); do
	wait_state c loaded
	! grep -q 'HNSW8, efSearch' info || break
	sleep 0.1
done
near c/1 --engine approximate | grep -q 'HNSW8' || fail "the index in place of another"
[ "$(ls store/ann | wc -l)" = 3 ] || fail "indexes: $(ls store/ann)"
stop_daemon s
saedb-index gc store >/dev/null || fail gc
[ "$(ls store/ann | wc -l)" = 2 ] || fail "gc left $(ls store/ann)"
saedb-index rm 1 --store store >/dev/null && saedb-index gc store >/dev/null || fail "rm c"
[ "$(ls store/ann | wc -l)" = 1 ] || fail "without c: $(ls store/ann)"

ok "one takes another's place"

# --- a store of before, its index damaged: refused by name, and searches go on
# damaged NAME TEXT: the store `broken` is served
damaged()
{
	start_daemon "$1" --store broken
	for _ in $(seq 100); do
		! grep -q 'is refused' saedbd.log || break
		sleep 0.1
	done
	grep -q "refused.*$2" saedbd.log || fail "$1: $(cat saedbd.log)"
	timeout 60 saedb -c "$1" --json neighbors c/1 --engine exact >out || fail "$1: exact"
	refuses "is refused.*$2" saedb -c "$1" neighbors c/1 --engine approximate
	saedb -c "$1" info | grep -q 'refused' || fail "$1: info"
	stop_daemon "$1"
	rm -rf broken
}

# of: the directory of the only index in a store
of()
{
	echo "$1"/ann/*
}

cp -r before broken
truncate -s -1 "$(of broken)/index.faiss"
damaged short 'index.faiss: [0-9]* bytes where there were'
cp -r before broken
"$PYTHON" -c 'import sys
f = open(sys.argv[1], "r+b"); f.seek(5000); x = f.read(1); f.seek(5000)
f.write(bytes([x[0] ^ 1]))' "$(of broken)/index.faiss"
damaged flipped 'index.faiss: the file does not match its checksum'
cp -r before broken
rm "$(of broken)/index.faiss"
damaged gone 'index.faiss: the file is missing'
cp -r before broken
cp "$(of store)/index.faiss" "$(of store)/about" "$(of broken)/"
damaged other 'does not match its checksum\|bytes where there were'
cp -r before broken
truncate -s 30 "$(of broken)/about"
damaged about 'about: [0-9]* bytes where there were'

ok "a damaged one is refused by name"

# --- a CPU that FAISS was not compiled for
case "$(saedbd --version)" in *avx2*)
	cp -r before broken
	SAEDB_CPU=portable
	export SAEDB_CPU
	damaged cpu 'compiled for AVX2'
	refuses 'compiled for AVX2' saedb-index ann before d
	unset SAEDB_CPU
	;;
esac

ok "a CPU that FAISS was not compiled for"

# --- interrupted: nothing is left
"$make_sae_store" before large 64 60000 0.6 || fail "make_sae_store large"
saedb-index ann before large >out 2>err &
pid=$!
sleep 0.2
kill -TERM $pid 2>/dev/null || :
rc=0
wait $pid || rc=$?
case $rc in
0) grep -q '^large, decoder' out || fail "large: $(cat out)" ;;
143) [ "$(ls before/ann | wc -l)" = 1 ] && [ -z "$(ls before/tmp)" ] ||
	fail "interrupted: $(ls before/ann before/tmp)" ;;
*) fail "interrupted: $rc: $(cat err)" ;;
esac

ok "interrupted, nothing is left"

# --- with an index of a corpus
saedb-index --store demo --model "$srcdir/demo/model" --sae "8k=$srcdir/demo/sae/8k" \
	--corpus "$srcdir/demo/corpus/demo.jsonl.gz" --max-tokens 2000 --neighbors none \
	--ann all --quiet >out || fail "index --ann all"
grep -q '^8k, decoder: IVF' out || fail "index --ann all says: $(cat out)"
ok "with an index of a corpus"
echo 1..8
