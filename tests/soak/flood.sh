# SPDX-License-Identifier: ISC
#
# flood.sh GB MEMORY_MIB: GB of activations through a pipe into saedb-index, which may
# take so much memory. What it takes of its own (RssAnon: pages of files, which the kernel
# takes back at will, left out) is looked at all the time. The last line tells the most.
set -euo pipefail
gb=$1 limit=$2
: "${PYTHON:=/usr/bin/python3}"
command -v "$PYTHON" >/dev/null || PYTHON=python3
"$PYTHON" "$srcdir/tests/indexer/make_tiny.py" tiny
"$PYTHON" "$srcdir/tests/indexer/shards.py" wide wide
cp tiny/model/tokenizer*.json wide/model/
"$PYTHON" "$srcdir/tests/indexer/shards.py" flood "$gb" |
	saedb-index --store store --model wide/model --sae wide/sae --activations - \
		--memory "${limit}M" >out 2>err &
most=0
while kill -0 $! 2>/dev/null; do
	kib=$(sed -n 's/^RssAnon:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$!/status" 2>/dev/null) || kib=
	[ "${kib:-0}" -le "$most" ] || most=$kib
	sleep 0.05
done
wait $! || {
	cat err
	exit 1
}
cat out
[ "$most" -gt 0 ] && [ "$most" -le $((limit * 1024)) ] || {
	echo "it took $most KiB of $((limit * 1024))"
	exit 1
}
echo "$gb GB in $SECONDS s, $((most / 1024)) of $limit MiB"
