# SPDX-License-Identifier: ISC
#
# For flow tests of saedb-index: sourced, not run. Makes ./tiny, a model, SAEs and a
# corpus that are indexed in a second.
: "${PYTHON:=/usr/bin/python3}"
command -v "$PYTHON" >/dev/null || PYTHON=python3
if ! command -v "$PYTHON" >/dev/null; then
	echo "# skip: there is no python3"
	exit 77
fi
PYTHONDONTWRITEBYTECODE=1
export PYTHONDONTWRITEBYTECODE
dump_store=$builddir/tests/tools/dump_store
n_ok=0

fail()
{
	echo "not ok - $*"
	[ ! -s out ] || sed 's/^/# /' out
	exit 1
}

ok()
{
	n_ok=$((n_ok + 1))
	echo "ok - $*"
}

done_testing()
{
	echo "1..$n_ok"
}

"$PYTHON" "$srcdir/tests/indexer/make_tiny.py" tiny

# index STORE OPTION...: with the tiny model; its output goes to ./out.
index()
{
	local store=$1
	shift
	saedb-index --quiet --store "$store" --model tiny/model "$@" >out 2>&1
}

# refuses STATUS TEXT ARGUMENT...: saedb-index ends so, and says that on one line.
refuses()
{
	local want=$1 text=$2 rc=0
	shift 2
	saedb-index "$@" >out 2>&1 || rc=$?
	[ $rc = "$want" ] || fail "saedb-index $* ends with $rc, not $want"
	grep -q -- "$text" out || fail "saedb-index $* does not say '$text'"
	! grep -q 'Sanitizer\|runtime error' out || fail "a sanitizer complains"
}

# dump STORE: its content, a hash.
dump()
{
	"$dump_store" "$1" >"$1.dump" || fail "dump $1"
	sha256sum <"$1.dump"
}

# kill_checkpointed STORE: kills $pid at its third checkpoint.
kill_checkpointed()
{
	local n=0 last= now

	while [ $n -lt 3 ]; do
		kill -0 $pid 2>/dev/null || { [ ! -e behind ] || cp behind out; fail "it ended"; }
		now=$(stat -c %i "$1"/tmp/run-*.checkpoint 2>/dev/null || :)
		[ "$now" = "$last" ] || n=$((n + 1))
		last=$now
		sleep 0.01
	done
	kill -9 $pid
	wait $pid 2>/dev/null || :
}
