# SPDX-License-Identifier: ISC
# Runs of ranges of features: what each finds is what one run of all finds there, what is
# said of the features that were not sought, and what cannot be shared out so.
set -eu
. "$srcdir/tests/indexer/lib.sh"
saes="--sae tiny/sae/plain --sae tiny/sae/jump"

# ranged STORE FIRST:END OPTION...
ranged()
{
	local store=$1 range=$2
	shift 2
	# shellcheck disable=SC2086
	index "$store" $saes --features "$range" "$@"
}

# inside STORE FIRST END: the records of those features alone, and activations of them.
inside()
{
	"$dump_store" "$1" | awk -v a="$2" -v b="$3" '
		/^slot/ {print $1, $2, $3, $4, $5, $6}
		/^(feature|example|postings|label)/ {
			f = $2 + 0
			if (f >= a && f < b)
				print
		}
		/^acts/ {
			line = $1 " " $2
			for (i = 3; i <= NF; i++) {
				f = $i + 0
				if ($i == "|" || (f >= a && f < b))
					line = line " " $i
			}
			print line
		}' | sha256sum
}

# shellcheck disable=SC2086
index one $saes --corpus tiny/a.jsonl || fail "index"
for range in 0:7 7:30 30:96; do
	ranged "r$range" $range --corpus tiny/a.jsonl || fail "index $range"
	first=${range%:*} end=${range#*:}
	[ "$(inside "r$range" "$first" "$end")" = "$(inside one "$first" "$end")" ] ||
		fail "$range finds something else"
	[ "$("$dump_store" "r$range" | grep -c '^feature')" = $((2 * (end - first))) ] ||
		fail "$range has other features"
	grep -q "features $first to $((end - 1)) of 96 alone: L0 .* not known, 0 of $((end - first)) features dead" \
		out || fail "$range: what it reports"
	saedb-index list "r$range" | grep -q "$first to $((end - 1)) alone of 96 features" ||
		fail "list does not show $range"
done
ranged other 7:30 --corpus tiny/a.jsonl --threads 3 --batch-tokens 50 || fail "index"
[ "$(dump other)" = "$(dump r7:30)" ] || fail "threads and batches: $(cmp other.dump r7:30.dump)"
saedb-index verify r7:30 >out 2>&1 || fail "verify"
grep -q '23 features of plain, [1-9][0-9]* activations: equal' out || fail "verify a range"
ok "each range finds what the whole finds there"

ranged all 0:96 --corpus tiny/a.jsonl || fail "a range of all"
[ "$(dump all)" = "$(dump one)" ] || fail "a range of all: $(cmp all.dump one.dump)"
ok "a range of all is none"

while read -r range text; do
	refuses 2 "$text" --store x --model tiny/model --sae tiny/sae/plain --corpus \
		tiny/a.jsonl --features "$range"
done <<'RANGES'
5:5 --features: 5:5 is empty
9:3 --features: 9:3 is empty
text --features: 'text' is no FIRST:END
7 '7' is no FIRST:END
7: '7:' is no FIRST:END
:7 ':7' is no FIRST:END
1:2:3 '1:2:3' is no FIRST:END
-1:3 '-1:3' is no FIRST:END
1:99999999999999999999 is no FIRST:END
1:4294967296 is out of range
RANGES
refuses 1 'plain has only features 0 to 95, so END is at most 96' --store x \
	--model tiny/model --sae tiny/sae/plain --corpus tiny/a.jsonl --features 90:97
refuses 1 'topk is of kind topk.*share out the corpus instead' --store x \
	--model tiny/model --sae tiny/sae/plain --sae tiny/sae/topk --corpus tiny/a.jsonl \
	--features 0:8
refuses 2 'of no use with --activations' --store x --model tiny/model \
	--sae tiny/sae/plain --activations tiny/a.jsonl --features 0:8
refuses 2 'is no whole number' verify one --features 0:8
refuses 2 'is no option of list' list one --features 0:8
[ ! -e x ] || fail "a store is made in vain"
ok "what is no range"

# killed when it has a checkpoint, then gone on with
n=0 last=
SAEDB_CHECKPOINT_MS=1 saedb-index --quiet --store s --model tiny/model --sae tiny/sae/plain \
	--sae tiny/sae/jump --corpus tiny/a.jsonl --features 7:30 --batch-tokens 24 \
	--threads 1 >behind 2>&1 &
pid=$!
while [ $n -lt 3 ]; do
	kill -0 $pid 2>/dev/null || { cp behind out; fail "it ended"; }
	now=$(stat -c %i s/tmp/run-*.checkpoint 2>/dev/null || :)
	[ "$now" = "$last" ] || n=$((n + 1))
	last=$now
	sleep 0.01
done
kill -9 $pid
wait $pid 2>/dev/null || :
ranged s 0:7 --corpus tiny/a.jsonl || fail "another range"
! grep -q resuming out || fail "another range goes on with its work"
ranged s 7:30 --corpus tiny/a.jsonl || fail "it does not go on"
grep -q 'resuming run [0-9a-f]* at [1-9]' out || fail "it does not say where it goes on"
saedb-index rm 1 --store s >out 2>&1 || fail "rm"
[ "$(dump s)" = "$(dump r7:30)" ] || fail "resumed: $(cmp s.dump r7:30.dump)"
ok "killed and resumed"
# two ranges in one store, and nothing of the rest
ranged two 0:7 --corpus tiny/a.jsonl || fail "index"
ranged two 7:30 --corpus tiny/a.jsonl || fail "index"
# says STATUS TEXT ARGUMENT...
says()
{
	local want=$1 text=$2 rc=0
	shift 2
	SAEDB_STORE=two XDG_RUNTIME_DIR=/nowhere timeout 60 saedb "$@" >out 2>&1 </dev/null ||
		rc=$?
	[ $rc = "$want" ] || fail "saedb $* ends with $rc"
	grep -q -- "$text" out || fail "saedb $* does not say '$text'"
}
says 0 'fires on' feature plain/3
says 0 'fires on' feature plain/20
says 1 'run 2 sought features 7 to 29 of plain alone, not 50, and no other run did' \
	feature plain/50
says 1 'run 1 sought features 0 to 6 of plain alone, not 20' feature plain/20 --run 1
says 0 'plain *7-29' run 2
says 0 'plain/29' features plain --all
[ "$(wc -l <out)" = 24 ] || fail "features that were not sought are listed"
says 0 'plain .* 0% ' saes
says 0 'bridges' label plain/50 bridges
says 0 'plain/50 *not sought  *-' search bridges --labels
says 0 'no features' features plain --dead
# shellcheck disable=SC2086
index two $saes --corpus tiny/a.jsonl || fail "all features beside ranges"
grep -q 'plain is in the store without logit effects' out || fail "it does not say what lacks"
says 0 'fires on' feature plain/50
says 0 'plain *0-95' run 3
ok "what is said of features that were not sought"
done_testing
