# SPDX-License-Identifier: ISC
# A MessagePack-RPC client that is not ours, pynvim's, calls every method.
set -eu
. "$srcdir/tests/daemon/lib.sh"
[ -x "$make_store" ] || exit 77
if ! "$PYTHON" -c 'import pynvim.msgpack_rpc' 2>/dev/null; then
	echo "# skipped: pynvim (Debian: python3-pynvim) is not installed"
	exit 77
fi
"$make_store" store >/dev/null
start_daemon s --store store --listen 127.0.0.1:0
port=$(sed -n 's/.* and 127.0.0.1:\([0-9]*\)$/\1/p' saedbd.log)
timeout 60 "$PYTHON" "$srcdir/tests/daemon/third_party.py" s || fail "the Unix socket"
timeout 60 "$PYTHON" "$srcdir/tests/daemon/third_party.py" "127.0.0.1:$port" || fail "TCP"
stop_daemon
echo 1..2
