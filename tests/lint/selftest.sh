#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Breaks each law in a small tree and sees that the lint names the file.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0
spdx='/* SPDX-License-Identifier: ISC */'

fresh()
{
	rm -rf "$tmp/tree"
	for room in util kernel schema model store indexer daemon client; do
		mkdir -p "$tmp/tree/$room"
		printf '# SPDX-License-Identifier: ISC\n%s/a.c %s/kv.c %s/db.c\n' \
			$room $room $room >"$tmp/tree/$room/Makefile.inc"
		printf '%s\n#include "%s/a.h"\n' "$spdx" $room >"$tmp/tree/$room/a.c"
	done
	cd "$tmp/tree"
}

# breaks WHAT FILE: the lint must name the file.
breaks()
{
	if bash "$here/laws.sh" "$tmp/tree" >"$tmp/out"; then
		echo "not ok - $1: passes"
		failed=1
	elif grep -q "^$2:[0-9]*: " "$tmp/out"; then
		echo "ok - $1"
	else
		echo "not ok - $1: not named: $2"
		failed=1
	fi
}

include()
{
	fresh
	printf '%s\n#include %s\n' "$spdx" "$2" >"$1"
	breaks "$1 includes $2" "$1"
}

fresh
if bash "$here/laws.sh" "$tmp/tree" >"$tmp/out"; then
	echo "ok - a tree within the law passes"
else
	cat "$tmp/out"
	echo "not ok - a tree within the law passes"
	failed=1
fi
include util/a.c '"schema/a.h"'
include client/a.c '"store/a.h"'
include client/a.c '"kernel/a.h"'
include store/a.c '"model/a.h"'
include schema/a.c '"model/a.h"'
include daemon/a.c '"indexer/a.h"'
include indexer/a.c '"client/a.h"'
include store/db.c '<lmdb.h>'
include store/kv.c '<sqlite3.h>'
include daemon/a.c '<pthread.h>'
include daemon/a.c '<msgpack.h>'
include indexer/a.c '<faiss/c_api/Index_c.h>'
include model/a.c '<cblas.h>'
include client/a.c '<event2/event.h>'
include model/a.c '"a.h"'
fresh
{ echo "$spdx"; echo "int"; echo "f(void)"; echo "{"; yes ';' | head -n 91; echo "}"; } \
	>util/a.c || true
breaks "a giant function" util/a.c
fresh
{ echo "$spdx"; yes ';' | head -n 601; } >util/a.c || true
breaks "a giant file" util/a.c
fresh
echo "int x;" >util/a.c
breaks "a file without a licence" util/a.c
fresh
printf '%s\nconst char *p = "/hom%s/me/x";\n' "$spdx" e >util/a.c
breaks "a path of one machine" util/a.c
fresh
printf '%s\nint x; \n' "$spdx" >util/a.c
breaks "a space at the end" util/a.c
fresh
echo "$spdx" >util/new.c
breaks "a file that is not built" util/new.c
fresh
echo "$spdx" >util/New-File.c
breaks "a file's name" util/New-File.c
exit $failed
