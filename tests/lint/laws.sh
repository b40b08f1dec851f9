#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Checks the laws of the house on a tree, one TAP line for each; what breaks
# one is named, FILE:LINE, above its line.
#
# usage: laws.sh DIR
set -euo pipefail
shopt -s lastpipe
here=$(cd "$(dirname "$0")" && pwd)
cd "$1"
failed=0

# law NAME: what it reads are the breaches.
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

c_files()
{
	bash "$here/files.sh" .
}

text_files()
{
	bash "$here/files.sh" -a .
}

names()
{
	c_files | grep -vE '(^|/)[a-z0-9_]+\.[ch]$' |
		sed 's/$/:1: names are small letters, digits and _/' || true
}

licences()
{
	{
		c_files
		text_files | grep -E '\.(sh|ac|am|inc|m4|bash)$|^dev$|^tests/run$'
	} | sort -u | while IFS= read -r f; do
		head -n 5 "$f" | grep -q 'SPDX-License-Identifier: ISC' ||
			echo "$f:1: no SPDX-License-Identifier: ISC"
	done
}

# Paths that are true on one machine only. (Spelled so as not to find itself.)
machine_paths()
{
	text_files | tr '\n' '\0' | xargs -0 grep -nE \
		"(^|[^A-Za-z0-9_.}/-])/(wor[k]|hom[e]|roo[t]|User[s])/[A-Za-z0-9.]" |
		sed 's/:\([0-9]*\):.*/:\1: a path of one machine/' || true
}

spaces()
{
	text_files | grep -v '\.md$' | tr '\n' '\0' |
		xargs -0 grep -nE '[[:space:]]+$' |
		sed 's/:\([0-9]*\):.*/:\1: space at the end of the line/' || true
}

# Every C file of a room is built, and every test is run.
listed()
{
	for room in util kernel schema model store analysis indexer daemon client; do
		for f in "$room"/*.c; do
			[ -e "$f" ] || continue
			grep -qF "$f" "$room/Makefile.inc" ||
				echo "$f:1: not listed in $room/Makefile.inc"
		done
		for f in tests/"$room"/test_*.c; do
			[ -e "$f" ] || continue
			grep -qF "${f%.c}" "tests/$room/Makefile.inc" ||
				echo "$f:1: not listed in tests/$room/Makefile.inc"
		done
	done
	for f in tests/flow/T*.sh; do
		[ -e "$f" ] || continue
		grep -qF "$f" tests/flow/Makefile.inc ||
			echo "$f:1: not listed in tests/flow/Makefile.inc"
	done
}

c_files | xargs -r awk -f "$here/includes.awk" | law "includes stay in their rooms"
c_files | xargs -r awk -f "$here/sizes.awk" | law "no giants"
names | law "file names"
licences | law "each file names its licence"
machine_paths | law "no path of one machine"
spaces | law "no space at the end of a line"
listed | law "each file is built, each test is run"
exit $failed
