# SPDX-License-Identifier: ISC
# An index that is killed or interrupted leaves the store as it was, and can be done
# again. A second writer is refused.
set -eu
. "$srcdir/tests/indexer/lib.sh"
for i in 1 2 3 4 5 6; do
	sed "s/\"id\": \"doc/\"id\": \"copy$i/" tiny/a.jsonl
done >tiny/big.jsonl

index s --sae tiny/sae/plain --corpus tiny/b.jsonl || fail "index"
before=$(dump s)
start=$(date +%s%N)
index fresh --sae tiny/sae/plain --sae tiny/sae/jump --corpus tiny/big.jsonl || fail "index"
took=$(($(date +%s%N) - start))
killed=0
for i in $(seq 20); do
	saedb-index --quiet --store s --model tiny/model --sae tiny/sae/plain \
		--sae tiny/sae/jump --corpus tiny/big.jsonl >out 2>&1 &
	pid=$!
	sleep "$(awk -v t=$took -v r=$RANDOM 'BEGIN {print t / 1e9 * r / 32768}')"
	if kill -9 $pid 2>/dev/null; then
		wait $pid 2>/dev/null || [ $? != 137 ] || killed=$((killed + 1))
	else
		wait $pid || fail "it failed by itself"
	fi
	now=$(dump s)
	if [ "$now" != "$before" ]; then
		run=$(saedb-index list s | sed -n 's/^run \([0-9]*\) .*/\1/p' | grep -vx 1) ||
			fail "kill $i: neither old nor new"
		saedb-index rm "$run" --store s >out || fail "kill $i: rm $run"
		saedb-index gc s >out
		[ "$(dump s)" = "$before" ] || fail "kill $i: rm does not bring it back"
	fi
done
echo "# killed $killed of 20"
[ $killed -ge 5 ] || fail "only $killed were killed"
saedb-index verify s >out 2>&1 || fail "verify after kills"
ok "kill -9 at twenty random moments"

index s --sae tiny/sae/plain --sae tiny/sae/jump --corpus tiny/big.jsonl ||
	fail "it cannot be done again"
[ -z "$(find s/tmp -mindepth 1 2>/dev/null)" ] || fail "something is left in tmp"
saedb-index verify s >out 2>&1 || fail "verify"
ok "done again, and swept"

# interrupted STATUS SIGNAL
interrupted()
{
	local rc=0
	rm -rf i
	mkfifo fifo
	saedb-index --quiet --store i --model tiny/model --sae tiny/sae/plain \
		--corpus fifo >out 2>&1 &
	pid=$!
	exec 3>fifo
	cat tiny/a.jsonl >&3
	sleep 0.3
	kill "-$2" $pid
	sed 's/"id": "doc/"id": "more/' tiny/a.jsonl >&3 || :
	exec 3>&-
	wait $pid || rc=$?
	rm fifo
	[ $rc = "$1" ] || fail "$2 ends it with $rc"
	grep -q 'stopped by a signal' out || fail "it does not say why"
	saedb-index list i >out || fail "the store cannot be read"
	grep -q 'no runs' out || fail "there is a run"
}
interrupted 130 INT
interrupted 143 TERM
index i --sae tiny/sae/plain --corpus tiny/a.jsonl || fail "index after a signal"
ok "SIGINT and SIGTERM"

mkfifo fifo
saedb-index --quiet --store s --model tiny/model --sae tiny/sae/late \
	--corpus fifo >first 2>&1 &
pid=$!
exec 3>fifo
sleep 0.3
refuses 1 'in use\|another' --store s --model tiny/model --sae tiny/sae/late \
	--corpus tiny/a.jsonl
saedb-index list s >out || fail "it cannot be read meanwhile"
cat tiny/a.jsonl >&3
exec 3>&-
wait $pid || fail "the first writer: $(cat first)"
ok "a second writer is refused"
done_testing
