#!/bin/bash
# SPDX-License-Identifier: ISC
#
# What a built libsaedb shows and needs: only saedb_*, all that its header
# declares, and no engine of the store.
#
# usage: exports.sh LIBSAEDB.so SAEDB.H
set -euo pipefail
shopt -s lastpipe
lib=$1
header=$2
failed=0

law()
{
	breaches=$(cat)
	if [ -z "$breaches" ]; then
		echo "ok - $1"
	else
		printf '%s\n' "$breaches"
		echo "not ok - $1"
		failed=1
	fi
}

exported()
{
	nm -D --defined-only "$lib" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' |
		sort -u
}

exported | sed -n "/^saedb_/!s,^,$lib: exports ,p" | law "libsaedb exports only saedb_*"
sed 's,/\*.*\*/,,; /^ \*/d; /^\/\*/d; /^\/\//d' "$header" |
	grep -oE '\bsaedb_[a-z0-9_]+\(' | tr -d '(' | sort -u |
	comm -23 - <(exported) | sed "s,^,$header: not exported: ," |
	law "libsaedb exports what saedb.h declares"
readelf -d "$lib" | sed -n 's/.*NEEDED.*\[\(.*\)\].*/\1/p' |
	{ grep -E 'lmdb|sqlite|blas|faiss|event|gomp|stdc' || true; } |
	sed "s,^,$lib: needs ," | law "libsaedb installs alone"
exit $failed
