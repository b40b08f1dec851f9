# SPDX-License-Identifier: ISC
# saedbd from its start to its end: options, sockets, every method.
set -eu
. "$srcdir/tests/daemon/lib.sh"
[ -x "$make_store" ] || exit 77
"$make_store" store >/dev/null

# --- options
saedbd --help >help || fail "--help ends with $?"
for o in store socket listen idle-exit workers verbose help version; do
	grep -q -- "--$o" help || fail "--help lacks --$o"
	grep -q -- "Fl -$o" "$srcdir/doc/saedbd.8" || fail "saedbd.8 lacks --$o"
done
saedbd --version | grep -q '^saedbd [0-9]' || fail "--version"
refuses()
{
	local want=$1 text=$2 rc=0
	shift 2
	timeout 20 saedbd "$@" >out 2>&1 || rc=$?
	[ $rc = "$want" ] || fail "saedbd $* ends with $rc: $(cat out)"
	grep -q -- "$text" out || fail "saedbd $* says: $(cat out)"
}
refuses 2 '--store DIR is missing'
refuses 2 'no option "--stroe"' --stroe x
refuses 2 'is not an option' store
refuses 2 '--store needs DIR' --store
refuses 2 '--workers must be a number from 1' --store store --workers 0
refuses 2 '--idle-exit must be a number' --store store --idle-exit=soon
refuses 2 '--help takes no value' --help=yes
refuses 1 'nowhere' --store nowhere
refuses 1 'loopback' --store store --listen 0.0.0.0:7000
refuses 1 'loopback' --store store --listen 192.168.0.1:7000
refuses 1 'loopback' --store store --listen '[::]:7000'
refuses 1 'ADDR:PORT' --store store --listen 7000
refuses 1 'ADDR:PORT' --store store --listen 127.0.0.1:70000
refuses 1 'ADDR:PORT' --store store --listen ::1:70
refuses 1 'name a shorter one with --socket' --store store \
	--socket "$(printf '%0120d' 0)"
deep=$(printf '%0100d' 0)
mkdir "$deep" && cp -r store "$deep/store"
refuses 1 'name a shorter one with --socket' --store "$deep/store"
: >file
refuses 1 'is not a socket' --store store --socket file
ok "options"

# --- every method
start_daemon store/saedbd.sock --store store --listen 127.0.0.1:0 --verbose
[ "$(stat -c %a store/saedbd.sock)" = 600 ] || fail "the socket is open to others"
"$PYTHON" "$srcdir/tests/daemon/methods.py" store/saedbd.sock || fail "methods"
refuses 1 'another daemon listens' --store store
grep -q 'and 127.0.0.1:[1-9]' saedbd.log || fail "the port is not told"
port=$(sed -n 's/.* and 127.0.0.1:\([0-9]*\)$/\1/p' saedbd.log)
refuses 1 'another program listens' --store store --socket other.sock \
	--listen "127.0.0.1:$port"
[ ! -e other.sock ] || fail "a socket is left behind"
stop_daemon
[ ! -e store/saedbd.sock ] || fail "the socket is left behind"
ok "stops, and leaves no socket"

# --- what is not known is nil, and there are no logit effects
"$make_store" elsewhere 1 elsewhere >/dev/null
start_daemon elsewhere.sock --store elsewhere
"$PYTHON" -c 'import mp
c = mp.Client("elsewhere.sock")
for s in c.call("sae.list")["saes"]:
    assert s["explained"] is None and s["l0"] == 2.5, s
for s in c.call("run.get", 1)["saes"]:
    assert s["explained"] is None and s["mse"] is None and s["l0"] == 2.5, s
f = c.call("feature.get", "alpha/3")
assert f["promoted"] == f["suppressed"] == [] and f["count"] > 0, f
f = c.call("feature.many", ["alpha/0", "alpha/39", "Beta/19"])["features"]
assert all(x["promoted"] == x["suppressed"] == [] for x in f), f' ||
	fail "a store without logit effects"
stop_daemon
ok "nil, and no logit effects"

# --- labels outlive it; a second daemon only reads them
ask()
{
	"$PYTHON" -c 'import sys, mp
c = mp.Client(sys.argv[1])
print(eval(sys.argv[2]))' "$@"
}
start_daemon one.sock --store store
[ "$(ask one.sock 'c.call("feature.get", "alpha/3")["label"]')" = \
	"the golden gate bridge" ] || fail "the label is gone"
first=$daemon
start_daemon two.sock --store store
grep -q 'labels can be read only' saedbd.log || fail "two writers of labels"
ask two.sock 'c.call("server.info")["read_only"]' | grep -q True || fail "read_only"
ask two.sock 'c.call("label.set", "alpha/1", "x")' >out 2>&1 && fail "it wrote"
grep -q 'another process writes the labels' out || fail "$(cat out)"
ask one.sock 'c.call("label.set", "alpha/1", "seen by both")' >/dev/null
[ "$(ask two.sock 'c.call("feature.get", "alpha/1")["label"]')" = "seen by both" ] ||
	fail "the other daemon does not see a label"
stop_daemon
daemon=$first
stop_daemon
ok "labels"

# --- a dead daemon's socket is replaced
start_daemon store/saedbd.sock --store store
kill -9 "$daemon"
wait "$daemon" 2>/dev/null || :
[ -S store/saedbd.sock ] || fail "no socket is left behind"
start_daemon store/saedbd.sock --store store --idle-exit 1
ask store/saedbd.sock 'c.call("server.ping")' >/dev/null
rc=0
wait "$daemon" || rc=$?
daemon=
[ $rc = 0 ] || fail "--idle-exit ends with $rc"
grep -q 'nobody is connected' saedbd.log || fail "--idle-exit"
ok "a stale socket, and --idle-exit"

# --- stops while it is asked
start_daemon s --store store
"$PYTHON" -c 'import mp
c = mp.Client("s")
n = 0
try:
    while True:
        c.call("feature.list", sae="alpha")
        n += 1
except (TypeError, ConnectionError):
    print(n)' >asked &
client=$!
sleep 1
stop_daemon
wait $client || fail "the client"
[ "$(cat asked)" -gt 10 ] || fail "nothing was asked"
ok "stops while it is asked"
echo 1..7
