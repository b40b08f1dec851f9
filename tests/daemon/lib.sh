# SPDX-License-Identifier: ISC
#
# For flow tests that need a saedbd: sourced, not run. The daemon's log goes to
# ./saedbd.log; what is still running when the test ends is ended.
: "${PYTHON:=/usr/bin/python3}"
command -v "$PYTHON" >/dev/null || PYTHON=python3
PYTHONPATH=$srcdir/tests/daemon
PYTHONDONTWRITEBYTECODE=1
export PYTHONPATH PYTHONDONTWRITEBYTECODE
make_store=$builddir/tests/tools/make_store
daemon=

fail()
{
	echo "not ok - $*"
	[ ! -s saedbd.log ] || sed 's/^/# /' saedbd.log
	exit 1
}

ok()
{
	echo "ok - $*"
}

end_daemon()
{
	[ -z "$daemon" ] || kill -9 "$daemon" 2>/dev/null || :
	daemon=
}
trap end_daemon EXIT

# start_daemon SOCKET OPTION...: waits until it serves.
start_daemon()
{
	local socket=$1 n=0
	shift
	: >saedbd.log
	saedbd --socket "$socket" "$@" 2>>saedbd.log &
	daemon=$!
	until grep -q 'notice: serving' saedbd.log; do
		kill -0 "$daemon" 2>/dev/null || fail "saedbd did not start"
		n=$((n + 1))
		[ $n -lt 300 ] || fail "saedbd is too slow to start"
		sleep 0.1
	done
}

# Asks it to stop, and fails unless it ends with 0.
stop_daemon()
{
	local rc=0
	kill -TERM "$daemon"
	wait "$daemon" || rc=$?
	daemon=
	[ $rc = 0 ] || fail "saedbd ended with $rc"
	! grep -q 'Sanitizer\|runtime error' saedbd.log ||
		fail "a sanitizer complains"
}
