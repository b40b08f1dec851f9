# SPDX-License-Identifier: ISC
#
# memory.sh FEATURES DIMENSIONS MEMORY [OPTION...]: a JumpReLU SAE of that size, over some
# thousand tokens, in so much memory. The last line tells the most that was resident,
# mapped files included, and how fast it was.
set -euo pipefail
features=$1 dimensions=$2 limit=$3
shift 3
: "${PYTHON:=/usr/bin/python3}"
command -v "$PYTHON" >/dev/null || PYTHON=python3
"$PYTHON" "$srcdir/tests/indexer/make_wide.py" wide "$features" "$dimensions" \
	"${SOAK_TOKENS:-20000}"
start=$SECONDS
"$PYTHON" "$srcdir/tests/indexer/peak.py" peak saedb-index --quiet --store store \
	--model wide/model --sae wide/sae --corpus wide/corpus.jsonl --memory "$limit" "$@" \
	>out 2>&1 || {
	cat out
	exit 1
}
cat out
most=$(cat peak)
mib=$(echo "$limit" | sed 's/G$/*1024/; s/M$//')
[ "$most" -le $((mib)) ] || {
	echo "it took $most MiB of $limit"
	exit 1
}
rate=$(sed -n 's/^run .* at \([0-9]*\) tokens.*/\1/p' out)
echo "$features x $dimensions: $most MiB of $limit, $rate tokens/s, $((SECONDS - start)) s in all"
