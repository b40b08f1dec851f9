# SPDX-License-Identifier: ISC
# --memory is a promise: with as little as the program asks for, weights leave memory,
# the peak, mapped files included, stays below, and the run is the same. With less it is
# refused before anything is done. no-tsan: it takes minutes there, and its threads are
# those of T10 and of tests/util/test_paged.
set -eu
. "$srcdir/tests/indexer/lib.sh"
"$PYTHON" "$srcdir/tests/indexer/make_wide.py" jump 16384 768 2000 1000
"$PYTHON" "$srcdir/tests/indexer/make_wide.py" topk 4096 256 2000 1000 topk

# wide KIND STORE OPTION...: its peak goes to ./peak, in MiB.
wide()
{
	local kind=$1 store=$2
	shift 2
	"$PYTHON" "$srcdir/tests/indexer/peak.py" peak saedb-index --quiet --store "$store" \
		--model "$kind/model" --sae "$kind/sae" --corpus "$kind/corpus.jsonl" \
		--threads 2 "$@" >out 2>&1
}

# least KIND: what the program asks for, in MiB.
least()
{
	! wide "$1" none --memory 70M || fail "70M are enough for $1"
	grep -q 'statistics and buffers take' out || fail "it does not say what takes how much"
	sed -n 's/.*raise --memory above \([0-9]*\) MiB.*/\1/p' out
}

wide jump plenty --memory 8G || fail "index"
plenty=$(cat peak)
want=$(dump plenty)
least=$(($(least jump) + 1))
[ ! -e none ] || fail "it began before it said so"
wide jump tight --memory ${least}M || fail "$least MiB are not enough"
echo "# peak $(cat peak) of $least MiB, with plenty $plenty"
[ "$(dump tight)" = "$want" ] || fail "with little memory: $(cmp plenty.dump tight.dump)"
if [ -z "${SAEDB_SANITIZER:-}" ]; then
	[ $plenty -gt $least ] || fail "no weights have to leave memory"
	[ "$(cat peak)" -le $least ] || fail "the peak is $(cat peak) of $least MiB"
fi
ok "little memory"

mv jump/corpus.jsonl jump/lost.jsonl
! wide jump none --memory $((least - 20))M || fail "less is enough"
grep -q 'are not enough' out || fail "it reads the corpus first"
mv jump/lost.jsonl jump/corpus.jsonl
ok "too little is refused at once"

wide topk topk-plenty || fail "index"
want=$(dump topk-plenty)
least=$(($(least topk) + 1))
for batch in 4096 300; do
	wide topk topk-$batch --memory ${least}M --batch-tokens $batch || fail "index"
	[ "$(dump topk-$batch)" = "$want" ] ||
		fail "TopK: $(cmp topk-plenty.dump topk-$batch.dump)"
	[ -n "${SAEDB_SANITIZER:-}" ] || [ "$(cat peak)" -le $least ] ||
		fail "the peak is $(cat peak) of $least MiB"
done
ok "TopK, batches"

# half of the features fire: one window's do not fit what is the least
"$PYTHON" "$srcdir/tests/indexer/make_wide.py" dense 16384 64 300 1000 standard
least=$(($(least dense) + 1))
! wide dense many --memory ${least}M || fail "half of the features fit $least MiB"
grep -q 'more features fire in .* raise --memory or lower --batch-tokens' out ||
	fail "it does not say that too many fire"
[ -n "${SAEDB_SANITIZER:-}" ] || [ "$(cat peak)" -le $least ] ||
	fail "the peak is $(cat peak) of $least MiB"
wide dense many --memory $((least + 200))M || fail "index"
ok "more activations than memory"

# a limit on files below what must leave memory
rc=0
(ulimit -f 20000 && wide jump full --memory 200M) || rc=$?
[ $rc = 1 ] || fail "a full disk ends it with $rc"
grep -q 'no room for .* MiB that do not fit the memory; raise --memory' out ||
	fail "it does not say what the disk has no room for"
ok "a disk without room for weights"

for rule in exact auto none; do
	wide topk neighbors-$rule --neighbors $rule || fail "--neighbors $rule"
	saedb-index verify neighbors-$rule >out 2>&1 || fail "verify --neighbors $rule"
done
[ "$(dump neighbors-exact)" = "$want" ] && [ "$(dump neighbors-auto)" = "$want" ] ||
	fail "--neighbors exact and auto differ"
[ "$(dump neighbors-none)" != "$want" ] || fail "--neighbors none has some"
[ -z "$(ls neighbors-none/graph 2>/dev/null)" ] || fail "--neighbors none has a graph"
for store in neighbors-none neighbors-exact; do
	saedb --store $store neighbors sae/1 --format csv >$store.csv 2>out || fail "$store"
	saedb --store $store --json neighbors sae/1 >$store.json
done
cmp neighbors-none.csv neighbors-exact.csv || fail "neighbors searched and looked up"
grep -q '"engine":"exact"' neighbors-none.json || fail "$(cat neighbors-none.json)"
grep -q '"engine":"graph"' neighbors-exact.json || fail "$(cat neighbors-exact.json)"
refuses 2 'none of auto|exact|none' --store s --neighbors some
ok "neighbors left out"
done_testing
