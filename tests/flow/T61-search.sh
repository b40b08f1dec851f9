# SPDX-License-Identifier: ISC
# Searches for neighbors through the real programs: rows with duplicates, zeros and what
# is not a number against float64; the verb with every option; what is refused.
set -eu
. "$srcdir/tests/daemon/lib.sh"
make_sae_store=$builddir/tests/tools/make_sae_store
[ -x "$make_sae_store" ] || exit 77
export XDG_RUNTIME_DIR=/nowhere
unset NO_COLOR COLUMNS SAEDB_STORE || :
"$PYTHON" "$srcdir/tests/daemon/nearest.py" make .
for sae in a b bad; do
	"$make_sae_store" store $sae 24 $sae.rows || fail "make_sae_store $sae"
done
"$make_sae_store" store wide 32 wide.rows || fail "make_sae_store wide"
start_daemon s --store store
timeout 120 "$PYTHON" "$srcdir/tests/daemon/nearest.py" ask s . || fail "nearest.py"

# --- the verb
near()
{
	timeout 60 saedb -c s neighbors "$@" >out 2>err </dev/null ||
		fail "neighbors $*: $(cat err)"
}

# says TEXT ARGUMENT...
says()
{
	local want=$1
	shift
	near "$@"
	grep -qF -- "$want" out || fail "neighbors $* lacks '$want': $(cat out)"
}

# refuses STATUS TEXT ARGUMENT...
refuses()
{
	local want=$1 text=$2 rc=0
	shift 2
	timeout 60 saedb -c s neighbors "$@" >out 2>err </dev/null || rc=$?
	[ $rc = "$want" ] || fail "neighbors $* ends with $rc: $(cat err)"
	grep -q -- "^saedb: .*$text" err || fail "neighbors $* says: $(cat err)"
	[ ! -s out ] || fail "neighbors $* prints: $(cat out)"
}

says 'exact: among 299 features of a' a/1
near a/1 -k 5 --alive
[ "$(wc -l <out)" = 7 ] || fail "-k 5: $(cat out)"
says '37 of 300 features of a pass' a/1 --dead -k 1000
[ "$(grep -c '^a/' out)" = 37 ] || fail "--dead: $(cat out)"
says 'of a, b' a/1 --sae a,b
says 'of a, b, bad' a/1 --sae all
says 'inner product of decoder rows' a/1 --metric ip
says 'ip ' a/1 --metric dot
says 'a/1 ' a/1 --self
says '%' a/1 --min-density 0.01% --max-density 0.05%
says 'features of a pass' a/1 --labelled
says 'features of a pass' a/1 --unlabelled --engine exact
says 'faiss: among' a/1 --engine faiss
says 'no neighbors' a/1 --features ''
says '2 of 300' a/1 --features 1,2,3
printf '2 b/3\n\nb/4,b/5\n' >ids
refuses 1 'addresses where several' a/1 --sae a,b --features @ids
says '3 of 200' a/1 --sae b --features b/3,b/4,b/5
printf 'b/3\n\nb/4,\tb/5\n' >ids
says '3 of 500' a/1 --sae a,b --features @ids
near a/1 --sae a,b -f csv -k 3
[ "$(head -n 1 out)" = feature,index,sae,cosine,density,label,source ] || fail "csv: $(cat out)"
[ "$(wc -l <out)" = 4 ] || fail "csv: $(cat out)"
near a/1 -f jsonl --metric ip -k 3
"$PYTHON" -c 'import json
rows = [json.loads(x) for x in open("out")]
assert len(rows) == 3 and all(x["ip"] > 0 for x in rows), rows' || fail "jsonl"
near a/1 --features '' -f csv
[ "$(wc -l <out)" = 1 ] || fail "csv of none: $(cat out)"
timeout 60 saedb -c s --json neighbors a/1 --sae all -k 2 >out || fail "--json"
"$PYTHON" -c 'import json
r = json.load(open("out"))
assert [s["sae"] for s in r["searched"]] == ["a", "b", "bad"] and r["n_rows"] == 540, r
assert r["engine"] == "exact" and r["metric"] == "cosine" and r["of"] == "decoder"' ||
	fail "--json: $(cat out)"
timeout 60 saedb -c s neighbours a/1 -k 3 >british || fail "neighbours"
near a/1 -k 3
cmp out british || fail "neighbours"
head -c 96 a.rows | tail -c 96 >zero
tail -c +97 a.rows | head -c 96 >vector # a/1
timeout 60 saedb -c s neighbors - --sae all --alive -k 2 <vector >out || fail "-"
grep -q '^a/1  *1\.000' out || fail "its own vector: $(cat out)"
timeout 60 saedb -c s neighbors - --sae a,b -f csv -k 2 <vector >out || fail "- csv"
grep -q '^a/1,1,a,' out || fail "- csv: $(cat out)"
! timeout 60 saedb -c s neighbors - --sae a <zero >out 2>&1 || fail "a vector of zeros"
grep -q 'is zero and has no direction' out || fail "$(cat out)"
! timeout 60 saedb -c s neighbors - --sae wide <vector >out 2>&1 || fail "another width"
grep -q 'must have 32 numbers for wide, not 24' out || fail "$(cat out)"
saedb help neighbors >out
for option in sae k of metric alive dead min-density max-density labelled unlabelled \
	features self engine format run; do
	grep -q -- "--$option" out || fail "help lacks --$option"
done
saedb help neighbours | cmp - out || fail "help neighbours"
ok "the verb"

refuses 2 'sae SAE is needed' -
refuses 2 'no --self' - --sae a --self
refuses 2 'not both' a/1 --alive --dead
refuses 2 'not both' a/1 --labelled --unlabelled
refuses 2 'one of decoder|encoder' a/1 --of both
refuses 2 'one of cosine' a/1 --metric l2
refuses 2 'one of auto' a/1 --engine graph
refuses 2 'at most 1000' a/1 -k 1001
refuses 2 'at least 1' a/1 -k 0
refuses 2 'one of csv' a/1 --format xml
refuses 1 'cannot hold a filter' a/1 --engine faiss --alive
refuses 1 'no SAE "nobody"' a/1 --sae a,nobody
refuses 1 'named twice' a/1 --sae a,A
refuses 1 'cannot be compared' a/1 --sae a,wide
refuses 1 'row is zero' a/25
refuses 1 'nowhere' a/1 --features @nowhere
refuses 1 "no feature's address" a/1 --features a
refuses 1 'none of the SAEs' a/1 --features b/1
refuses 1 'which nothing passes' a/1 --min-density 0.2 --max-density 0.1
ok "wrong use"
stop_daemon
echo 1..4
