# SPDX-License-Identifier: ISC
# What fires together: every answer against counts by the plainest loop; the stored lists
# are the same whatever the threads and the memory, and merged; a store without them
# counts; what is asked wrongly, and lists that are damaged. no-tsan: T11 has its threads.
set -eu
. "$srcdir/tests/indexer/lib.sh"
awk '!seen[$0]++' tiny/a.jsonl | sed 60q >a.jsonl
awk '!seen[$0]++' tiny/b.jsonl >b.jsonl
saes="--sae tiny/sae/plain --sae tiny/sae/topk"

# shellcheck disable=SC2086
make()
{
	local store=$1
	shift
	rm -rf "$store"
	index "$store" $saes --corpus a.jsonl "$@" || fail "index $*"
}

# together STORE ENGINE [SAE...]: runs the daemon for it.
together()
{
	local store=$1
	shift
	start_daemon s --store "$store"
	timeout 300 "$PYTHON" "$srcdir/tests/daemon/together.py" s "$@" >said 2>&1 ||
		fail "$store: $(tail -5 said)"
	sed 's/^ok/#/' said
	stop_daemon
}

# refused TEXT ARGUMENT...: of saedb, on the daemon.
refused()
{
	local text=$1
	shift
	! timeout 60 saedb --connect s "$@" >said 2>&1 || fail "saedb $* is not refused"
	grep -q -- "$text" said || fail "saedb $* says: $(cat said)"
}

make one --threads 1
index two --sae tiny/sae/plain --corpus a.jsonl || fail "index"
n_all=$("$dump_store" one | grep -c '^pairs')
[ "$n_all" -gt 20 ] || fail "only $n_all features have a list"
make none --cooccurrence none
[ -z "$(find none -name 'cooccurrence*')" ] || fail "lists in spite of none"
make special --count-special
make joined --joined
make first --threads 1
for how in "--threads 3" "--threads 2 --batch-tokens 50"; do
	# shellcheck disable=SC2086
	make other $how
	[ "$(dump other)" = "$(dump first)" ] || fail "$how differs"
done
for bytes in 1 3000 20000 100000; do
	SAEDB_COOCCUR_BYTES=$bytes
	export SAEDB_COOCCUR_BYTES
	make other --threads 2
	unset SAEDB_COOCCUR_BYTES
	[ "$(dump other)" = "$(dump first)" ] ||
		fail "in $bytes bytes: $(cmp other.dump first.dump)"
done
ok "threads, and shares that fit any memory"

# shellcheck disable=SC2086
index b $saes --corpus b.jsonl || fail "index b"
# shellcheck disable=SC2086
index whole $saes --corpus a.jsonl --corpus b.jsonl || fail "index both"
saedb-index merge --quiet first b --corpus-name a -o m >out 2>&1 || fail "merge"
[ "$(dump m)" = "$(dump whole)" ] || fail "merged: $(cmp m.dump whole.dump)"
grep -q '^pairs' m.dump || fail "merged, there are no lists"
saedb-index merge --quiet none b --cooccurrence none -o m0 >out 2>&1 || fail "merge none"
! "$dump_store" m0 | grep -q '^pairs' || fail "lists in spite of none"
for range in 0:40 40:96; do
	index "r$range" --sae tiny/sae/plain --corpus a.jsonl --features $range || fail "$range"
	! "$dump_store" "r$range" | grep -q '^pairs' || fail "a range has lists"
done
saedb-index merge --quiet r0:40 r40:96 -o m1 >out 2>&1 || fail "merge ranges"
[ "$(dump m1)" = "$(dump two)" ] || fail "ranges merged: $(cmp m1.dump two.dump)"
ok "merged runs, and ranges of features"

# others over the same cut, in a run of their own; one of them counts special tokens
index one --sae tiny/sae/jump --corpus a.jsonl || fail "another run"
index one --sae late=tiny/sae/late --corpus a.jsonl --count-special || fail "a third run"
refuses 2 'auto|none' --store x --model tiny/model --sae tiny/sae/plain --corpus a.jsonl \
	--cooccurrence some

. "$srcdir/tests/daemon/lib.sh"
together one stored jump
ok "every feature, and SAEs of another run over the same cut"
together none counted
together special stored
together joined stored
ok "without lists, with special tokens, joined"

start_daemon s --store one
refused 'only one counts special ones' cooccurrence plain/3 --sae late
refused 'only one counts special ones' call feature.cooccurrence feature=plain/3 \
	sae='["plain","late"]'
timeout 60 saedb --connect s cooccurrence plain/3 --sae all --min-count 1 -k 1000 >said ||
	fail "all"
grep -q '^jump/' said && grep -q '^topk/' said || fail "all: $(cat said)"
! grep -q '^late/' said || fail "all has an SAE whose run counts other tokens"
refused 'there is no SAE "nothing"' cooccurrence plain/3 --sae nothing
refused 'sort' cooccurrence plain/3 --sort cosine
refused 'at least 1' cooccurrence plain/3 -k 0
refused 'at least 1' cooccurrence plain/3 --min-count 0
stop_daemon
index b --sae tiny/sae/jump --corpus a.jsonl || fail "another corpus"
start_daemon s --store b
refused 'no run has jump over the corpus of run 1' cooccurrence plain/3 --sae jump
stop_daemon
ok "what cannot be answered"

# what is damaged is named, and nothing else is hurt
file=$(echo first/run/*/01/cooccurrence.mdb)
"$PYTHON" - "$file" <<'PY'
import sys
raw = bytearray(open(sys.argv[1], "rb").read())
for at in range(8192, len(raw)):
    raw[at] ^= 0x55
open(sys.argv[1], "wb").write(raw)
PY
start_daemon s --store first
refused 'cooccurrence.mdb' cooccurrence topk/3
timeout 60 saedb --connect s cooccurrence plain/3 --min-count 1 >said 2>&1 ||
	fail "the other SAE's lists are lost too"
stop_daemon
: >"$file"
saedbd --store first --socket t >said 2>&1 & # which may end at once
pid=$!
sleep 1
timeout 60 saedb --connect t cooccurrence topk/3 >>said 2>&1 && fail "an empty file is used"
kill $pid 2>/dev/null || :
wait $pid || :
grep -q 'cooccurrence.mdb' said || fail "it does not name the file: $(cat said)"
ok "damaged lists"
echo 1..6
