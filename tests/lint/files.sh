#!/bin/bash
# SPDX-License-Identifier: ISC
#
# The C files of a tree, one a line, or with -a all its text files.
#
# usage: files.sh [-a] DIR
set -eu
all=
if [ "$1" = -a ]; then
	all=1
	shift
fi
cd "$1"
find . \( -name .git -o -path ./build -o -path ./build-aux -o -name autom4te.cache \
	-o -name __pycache__ -o -name '*.egg-info' -o -name .deps -o -name .libs \
	-o -name .venv -o -name '.pytest_cache' \) -prune \
	-o -type f -print | sed 's,^\./,,' | sort |
	if [ -n "$all" ]; then
		grep -E '\.(c|h|inc|am|ac|sh|py|md|toml|map|[1-8]|in|js|css|html|bash)$|^(dev|LICENSE|NEWS|\.ci/run|tests/run|m4/[a-z0-9]*\.m4)$' |
			grep -vE '^(aclocal\.m4|config\.h\.in|Makefile\.in|m4/(libtool|lt.*|pkg)\.m4)$'
	else
		grep -E '\.[ch]$' | grep -vE '^config\.h$'
	fi
