# SPDX-License-Identifier: ISC
# saedbd serves while runs are published under it, and drops nothing.
set -eu
. "$srcdir/tests/daemon/lib.sh"
[ -x "$make_store" ] || exit 77
"$make_store" store >/dev/null
start_daemon s --store store --workers 3
timeout 120 "$PYTHON" "$srcdir/tests/daemon/publish.py" s "$make_store" store 8 ||
	fail "publishing"
stop_daemon
ok "stops"
echo 1..2
