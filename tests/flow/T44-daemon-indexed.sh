# SPDX-License-Identifier: ISC
# What saedbd says of a store that saedb-index made agrees with the corpus, for
# documents by themselves and joined.
set -eu
. "$srcdir/tests/indexer/lib.sh"
awk '!seen[$0]++' tiny/a.jsonl >a.jsonl # ids that name one document
index single --sae J=tiny/sae/jump --corpus a.jsonl || fail "index"
index joined --sae J=tiny/sae/jump --corpus a.jsonl --joined || fail "index --joined"
. "$srcdir/tests/daemon/lib.sh"
for store in single joined; do
	start_daemon s --store $store
	timeout 120 "$PYTHON" "$srcdir/tests/daemon/indexed.py" s a.jsonl ||
		fail "$store"
	stop_daemon
done
echo 1..2
