#!/bin/sh
# SPDX-License-Identifier: ISC
#
# Runs one flow test in a directory of its own, with the built programs first
# on PATH. The directory goes when the test passes.
#
# usage: run.sh TEST.sh
set -eu
: "${srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
: "${builddir:=$(pwd)}"
case $1 in
/*) test=$1 ;;
*) test=$(pwd)/$1 ;;
esac
TEST_DIR=$(mktemp -d "${TMPDIR:-/tmp}/saedb-test.XXXXXX")
PATH=$builddir:$PATH
LC_ALL=C.UTF-8
export srcdir builddir TEST_DIR PATH LC_ALL
cd "$TEST_DIR"
rc=0
bash "$test" || rc=$?
cd /
case $rc in
0 | 77) rm -rf "$TEST_DIR" ;;
*) echo "# kept: $TEST_DIR" ;;
esac
exit $rc
