# SPDX-License-Identifier: ISC
# A store as the first saedb wrote it (data/store-1.tar.gz: tiny/sae/topk on the first
# 14 lines of tiny/b.jsonl) opens, holds what is written today but for what fires
# together, and takes more.
set -eu
. "$srcdir/tests/indexer/lib.sh"
gzip -dc "$srcdir/tests/flow/data/store-1.tar.gz" | tar xf - || fail "tar"
head -n 14 tiny/b.jsonl >few.jsonl
old=$(dump store)
saedb-index list store >out || fail "list"
grep -q '^run 1 .*tiny on few: 818 tokens in 41 windows' out || fail "its run"
index today --sae tiny/sae/topk --corpus few.jsonl --cooccurrence none || fail "index"
# but for encoders, which it did not keep
dump today >out
grep -q '^encoder ' today.dump || fail "no encoder is kept"
[ "$(sed '/^encoder /d' today.dump | sha256sum)" = "$old" ] ||
	fail "what is written today differs"
ok "an old store holds what is written today"

index store --sae tiny/sae/topk --corpus few.jsonl || fail "the same again"
grep -q 'run 1 is there already' out || fail "its run is not known"
index store --sae tiny/sae/plain --corpus tiny/b.jsonl || fail "another run"
saedb-index list store | grep -q '^run 2 ' || fail "no second run"
ok "an old store takes more"

saedb --store store --json feature topk/3 --brief >out 2>&1 || fail "feature"
grep -q '"feature":"topk/3"' out || fail "not the feature"
saedb --store store neighbors topk/3 --k 2 >out 2>&1 || fail "neighbors"
saedb --store store --json cooccurrence topk/3 >out 2>&1 || fail "cooccurrence"
grep -q '"engine":"counted"' out || fail "it has no lists of what fires together"
saedb --store store label topk/3 'kept' --author me >out 2>&1 || fail "label"
saedb --store store search kept 2>&1 | grep -q 'topk/3' || fail "search"
ok "an old store is asked"
done_testing
