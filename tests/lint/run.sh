#!/bin/bash
# SPDX-License-Identifier: ISC
#
# The law of the rooms, the formatting, and, when there is a release build,
# what libsaedb exports. TAP; exits with 1 when a law is broken.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
: "${CLANG_FORMAT:=clang-format-14}"
failed=0
cd "$root" || exit 1

bash "$here/laws.sh" "$root" || failed=1
bash "$here/selftest.sh" || failed=1

unformatted=$(bash "$here/files.sh" . |
	xargs -r "$CLANG_FORMAT" --dry-run -Werror 2>&1 |
	sed -n 's/^\([^ :]*:[0-9]*:\)[0-9]*: error:.*/\1 see .\/dev format/p' |
	sort -t: -u -k1,1)
if [ -z "$unformatted" ]; then
	echo "ok - formatting"
else
	printf '%s\n' "$unformatted"
	echo "not ok - formatting"
	failed=1
fi

lib=build/release/.libs/libsaedb.so
if [ -e $lib ]; then
	bash "$here/exports.sh" $lib client/saedb.h || failed=1
else
	echo "ok - exports # SKIP there is no release build"
fi

if command -v mandoc >/dev/null; then
	if mandoc -T lint -W warning doc/*.[1-8] >/tmp/saedb-mandoc.$$ 2>&1; then
		echo "ok - man pages"
	else
		cat /tmp/saedb-mandoc.$$
		echo "not ok - man pages"
		failed=1
	fi
	rm -f /tmp/saedb-mandoc.$$
fi
exit $failed
