# SPDX-License-Identifier: ISC
# An index that is interrupted goes on where it was, and ends with the store that it
# would have made: killed, stopped, out of disk, without its input, with its checkpoint
# damaged. Other runs leave its work alone. no-tsan: it takes ten minutes there, and its
# threads are those of T10 and T11.
set -eu
. "$srcdir/tests/indexer/lib.sh"
for i in 1 2 3; do
	sed "s/\"id\": \"doc/\"id\": \"copy$i/" tiny/a.jsonl
done >tiny/big.jsonl
saes="--sae tiny/sae/plain --sae tiny/sae/jump"

# two STORE OPTION...: both SAEs over the big corpus.
two()
{
	local store=$1
	shift
	# shellcheck disable=SC2086
	index "$store" $saes --corpus tiny/big.jsonl "$@"
}

# started STORE OPTION...: the same, but it goes on behind us: $pid.
started()
{
	local store=$1
	shift
	# shellcheck disable=SC2086
	saedb-index --quiet --store "$store" --model tiny/model $saes \
		--corpus tiny/big.jsonl "$@" >behind 2>&1 &
	pid=$!
}

# halfway STORE OPTION...: killed when its third checkpoint is there.
halfway()
{
	SAEDB_CHECKPOINT_MS=1 started "$@" --batch-tokens 24
	kill_checkpointed "$1"
}

resumes()
{
	two "$@" || fail "it does not go on"
	grep -q 'resuming run [0-9a-f]* at [1-9][0-9]* of [0-9]* tokens' out ||
		fail "it does not say where it goes on"
}

start=$(date +%s%N)
SAEDB_CHECKPOINT_MS=1 two fresh || fail "index"
took=$(($(date +%s%N) - start))
grep -q 'checkpoints took' out || fail "it does not tell what checkpoints cost"
want=$(dump fresh)
two plain --checkpoint 0 || fail "index without checkpoints"
[ "$(dump plain)" = "$want" ] || fail "checkpoints make a difference"
[ -z "$(find fresh/tmp plain/tmp -mindepth 1)" ] || fail "something is left in tmp"
ok "with checkpoints, and without"

killed=0 resumed=0
for i in $(seq 20); do
	SAEDB_CHECKPOINT_MS=1 started s --threads $((1 + i % 3)) --batch-tokens $((40 * i))
	sleep "$(awk -v t=$took -v r=$RANDOM 'BEGIN {print 1.2 * t / 1e9 * r / 32768}')"
	kill -9 $pid 2>/dev/null || :
	rc=0
	wait $pid 2>/dev/null || rc=$?
	[ $rc = 0 ] || [ $rc = 137 ] || { cp behind out; fail "kill $i: it ended with $rc"; }
	[ $rc != 137 ] || killed=$((killed + 1))
	! grep -q 'resuming run' behind || resumed=$((resumed + 1))
	if saedb-index list s 2>/dev/null | grep -q '^run'; then
		[ "$(dump s)" = "$want" ] || fail "kill $i: $(cmp fresh.dump s.dump)"
		rm -rf s
	fi
done
two s || fail "it cannot be ended"
[ "$(dump s)" = "$want" ] || fail "after kills: $(cmp fresh.dump s.dump)"
[ -z "$(find s/tmp -mindepth 1)" ] || fail "something is left in tmp"
saedb-index verify s >out 2>&1 || fail "verify"
echo "# killed $killed of 20, resumed $resumed"
[ $killed -ge 5 ] || fail "only $killed were killed"
ok "kill -9 at twenty random moments"

rm -rf s
halfway s
saedb-index list s >out
grep -q '^resumable run ' out || fail "list does not show it"
grep -q '^resumable cut ' out || fail "list does not show the cut"
saedb-index du s | grep -q 'resumable *[0-9a-f]* *run' || fail "du does not show it"
resumes s --threads 3 --memory 200M
[ "$(dump s)" = "$want" ] || fail "$(cmp fresh.dump s.dump)"
! saedb-index list s | grep -q resumable || fail "it is resumable still"
ok "shown, and gone when it is done"

# stopped SIGNAL STATUS: in the middle of the pass, at whatever moment that is.
stopped()
{
	local rc
	for i in $(seq 60); do
		rm -rf s
		rc=0
		started s --batch-tokens 24 --threads 1
		sleep "$(awk -v t=$took -v i=$i 'BEGIN {print t / 1e9 * (i % 20 + 1) / 20}')"
		kill "-$1" $pid 2>/dev/null || :
		wait $pid || rc=$?
		cp behind out
		[ $rc = "$2" ] || [ $rc = 0 ] || fail "SIG$1 ends it with $rc"
		[ ! -e "$(echo s/tmp/run-*.checkpoint)" ] || return 0
	done
	fail "SIG$1 makes no checkpoint"
}
stopped INT 130
resumes s
[ "$(dump s)" = "$want" ] || fail "$(cmp fresh.dump s.dump)"
stopped TERM 143
resumes s
[ "$(dump s)" = "$want" ] || fail "$(cmp fresh.dump s.dump)"
ok "SIGTERM and SIGINT make a checkpoint"

rm -rf s
halfway s
mv tiny/big.jsonl tiny/lost.jsonl
! two s || fail "it goes on without its corpus"
mv tiny/lost.jsonl tiny/big.jsonl
resumes s
[ "$(dump s)" = "$want" ] || fail "$(cmp fresh.dump s.dump)"
ok "an input that was lost"

rm -rf s
halfway s
other=$(find s/tmp -name 'run-*.checkpoint')
two few --examples 5 || fail "index"
two s --examples 5 || fail "another run"
! grep -q resuming out || fail "another run goes on with the first one's work"
[ "$(dump s)" = "$(dump few)" ] || fail "another run: $(cmp few.dump s.dump)"
[ -e "$other" ] || fail "another run touches the first one's work"
index s --sae tiny/sae/late --corpus tiny/b.jsonl || fail "a third"
[ -e "$other" ] || fail "a third run touches the first one's work"
resumes s
[ "$(saedb-index list s | grep -c '^run')" = 3 ] || fail "there are not three runs"
saedb-index verify s >out 2>&1 || fail "verify"
ok "other runs leave it alone"

# spoil FILE OFFSET: one byte of it becomes another
spoil()
{
	local byte='\252'

	[ "$(od -An -tx1 -j "$2" -N 1 "$1")" != ' aa' ] || byte='\125'
	printf '%b' "$byte" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}
for place in 3 40 200 2000; do
	rm -rf s
	halfway s
	spoil s/tmp/run-*.checkpoint $place
	two s || fail "it does not begin anew"
	grep -q 'checkpoint: the checkpoint is damaged.*starts anew' out || fail "it does not say so"
	! grep -q resuming out || fail "it resumes a damaged one"
	[ "$(dump s)" = "$want" ] || fail "damaged at $place: $(cmp fresh.dump s.dump)"
done
rm -rf s
halfway s
truncate -s 9000 s/tmp/run-*/01/acts.mdb
two s || fail "it does not begin anew"
grep -q 'acts.mdb.*starts anew' out || fail "it does not say what is damaged"
[ "$(dump s)" = "$want" ] || fail "activations cut short: $(cmp fresh.dump s.dump)"
ok "a damaged checkpoint is named, and the run starts anew"

rm -rf s
halfway s
# shellcheck disable=SC2086
index s --sae tiny/sae/jump --sae tiny/sae/plain --corpus tiny/big.jsonl || fail "turned round"
grep -q 'another order' out || fail "it takes SAEs for one another"
saedb-index verify s >out 2>&1 || fail "verify"
ok "SAEs in another order"

rm -rf s
halfway s
saedb-index gc s >out || fail "gc"
grep -q 'removing resumable run' out || fail "gc does not say what it removes"
[ -z "$(find s/tmp -mindepth 1)" ] || fail "gc leaves something"
two s || fail "index after gc"
! grep -q resuming out || fail "gc left it"
[ "$(dump s)" = "$want" ] || fail "$(cmp fresh.dump s.dump)"
ok "gc removes it and says so"

# a disk that is full somewhere else each time, and is made larger
grown()
{
	local rc=0 size n_full=0
	mkdir -p small
	mount -t tmpfs -o size=64k tmpfs small || return 77
	for size in 64 200 400 600 800 1000 1300 1700 2200 2900 3800 5000 6500 8500 30000; do
		mount -o remount,size=${size}k small || return 77
		rc=0
		SAEDB_CHECKPOINT_MS=1 two small/s --batch-tokens 240 || rc=$?
		[ $rc != 0 ] || break
		n_full=$((n_full + 1))
		grep -qi 'space\|full' out || { cat out; echo "# ended with $rc at $size"; return 1; }
	done
	[ $rc = 0 ] && [ $n_full -ge 4 ] || { cat out; return 1; }
	grep -q 'resuming run' out || { echo "# it does not go on"; return 1; }
	echo "# full $n_full times"
	[ "$("$dump_store" small/s | sha256sum)" = "$want" ]
}
if unshare -rm true 2>/dev/null || [ "$(id -u)" = 0 ]; then
	export -f grown two index dump fail
	export want saes dump_store
	wrap=
	[ "$(id -u)" = 0 ] || wrap="unshare -rm"
	rc=0
	$wrap bash -c grown || rc=$?
	umount small 2>/dev/null || :
	[ $rc = 0 ] || [ $rc = 77 ] || fail "a full disk"
	[ $rc = 77 ] && echo "ok - a full disk # SKIP tmpfs cannot be mounted" ||
		ok "a full disk"
fi

# the same by a limit on files: two thirds of what the activations take
rm -rf s
size=$(($(stat -c %s fresh/run/*/00/acts.mdb) / 1024))
rc=0
(ulimit -f $((size * 2 / 3)) && SAEDB_CHECKPOINT_MS=1 two s --batch-tokens 240) || rc=$?
[ $rc = 1 ] || fail "a limit on files ends it with $rc"
grep -qi 'space\|full\|large' out || fail "it does not say what is full"
resumes s
[ "$(dump s)" = "$want" ] || fail "after a full disk: $(cmp fresh.dump s.dump)"
ok "a limit on the size of files"
done_testing
