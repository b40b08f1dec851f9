# SPDX-License-Identifier: ISC
#
# flood.sh GB MEMORY_MIB: GB of activations through a pipe into saedb-index, which may
# take so much memory, mapped files included. The last line tells the most.
set -euo pipefail
gb=$1 limit=$2
: "${PYTHON:=/usr/bin/python3}"
command -v "$PYTHON" >/dev/null || PYTHON=python3
"$PYTHON" "$srcdir/tests/indexer/make_tiny.py" tiny
"$PYTHON" "$srcdir/tests/indexer/shards.py" wide wide
cp tiny/model/tokenizer*.json wide/model/
"$PYTHON" "$srcdir/tests/indexer/shards.py" flood "$gb" |
	"$PYTHON" "$srcdir/tests/indexer/peak.py" peak saedb-index --store store \
		--model wide/model --sae wide/sae --activations - --memory "${limit}M" \
		>out 2>err || {
	cat err
	exit 1
}
cat out
most=$(cat peak)
[ "$most" -le "$limit" ] || {
	echo "it took $most MiB of $limit"
	exit 1
}
echo "$gb GB in $SECONDS s, $most of $limit MiB"
