# SPDX-License-Identifier: ISC
# Broken and hostile clients of saedbd.
set -eu
. "$srcdir/tests/daemon/lib.sh"
[ -x "$make_store" ] || exit 77
"$make_store" store >/dev/null
start_daemon s --store store --listen 127.0.0.1:0
port=$(sed -n 's/.* and 127.0.0.1:\([0-9]*\)$/\1/p' saedbd.log)
timeout 300 "$PYTHON" "$srcdir/tests/daemon/hostile.py" s "$daemon" "$port" ||
	fail "hostile clients"
stop_daemon
ok "stops"
echo 1..19
