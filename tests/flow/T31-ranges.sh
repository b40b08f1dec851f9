# SPDX-License-Identifier: ISC
# Runs of ranges of features: what each finds is what one run of all finds there, what is
# said of the features that were not sought, what cannot be shared out so; and joined they
# are the one run, with the model or, but for what only it tells, without. no-tsan: it takes
# minutes there, and its threads are those of T10 and T11.
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
SAEDB_CHECKPOINT_MS=1 saedb-index --quiet --store s --model tiny/model --sae tiny/sae/plain \
	--sae tiny/sae/jump --corpus tiny/a.jsonl --features 7:30 --batch-tokens 24 \
	--threads 1 >behind 2>&1 &
pid=$!
kill_checkpointed s
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

# ---- joining

# merged STORE INPUT...
merged()
{
	local store=$1
	shift
	rm -rf "$store"
	saedb-index merge --quiet "$@" -o "$store" >out 2>&1
}

merged m r7:30 r0:7 r30:96 || fail "merge"
grep -q 'merged from 3 ranges of features' out || fail "what it says"
[ "$(dump m)" = "$(dump one)" ] || fail "joined: $(cmp m.dump one.dump)"
saedb-index list m | sed 's/  20[0-9-]* [0-9:]*  / /' >list.m
saedb-index list one | sed 's/  20[0-9-]* [0-9:]*  / /' | cmp - list.m >out 2>&1 ||
	fail "list tells them apart"
saedb-index verify m >out 2>&1 || fail "verify"
merged m2 r0:7 r7:30 r30:96 --threads 1 --memory 200M || fail "merge"
[ "$(dump m2)" = "$(dump one)" ] || fail "one thread: $(cmp m2.dump one.dump)"
saedb-index merge --quiet r0:7 r7:30 r30:96 -o m >out 2>&1 || fail "merge again"
grep -q 'run 1 is there already' out || fail "it is made again"
ranged pair 0:50 --corpus tiny/a.jsonl || fail "index"
ranged pair 50:96 --corpus tiny/a.jsonl || fail "index"
merged m2 pair@2 pair@1 || fail "two runs of one store"
[ "$(dump m2)" = "$(dump one)" ] || fail "of one store: $(cmp m2.dump one.dump)"
ok "joined, three ranges are the one run"

index turned --sae tiny/sae/jump --sae tiny/sae/plain --corpus tiny/a.jsonl --features 7:30 ||
	fail "index"
merged m2 r0:7 turned r30:96 || fail "SAEs turned round"
[ "$(dump m2)" = "$(dump one)" ] || fail "turned round: $(cmp m2.dump one.dump)"
ok "SAEs in another order"

# cuts that parts of a corpus cannot be merged of
index jone --sae tiny/sae/plain --corpus tiny/a.jsonl --joined --max-tokens 3000 || fail "index"
for range in 0:40 40:96; do
	index "j$range" --sae tiny/sae/plain --corpus tiny/a.jsonl --joined \
		--max-tokens 3000 --features $range || fail "index $range"
done
merged m2 j40:96 j0:40 || fail "joined windows"
[ "$(dump m2)" = "$(dump jone)" ] || fail "joined windows: $(cmp m2.dump jone.dump)"
ok "windows across documents"

index lone --sae tiny/sae/late --sae tiny/sae/plain --corpus tiny/b.jsonl || fail "index"
for range in 0:95 95:96; do
	index "l$range" --sae tiny/sae/late --sae tiny/sae/plain --corpus tiny/b.jsonl \
		--features $range || fail "index $range"
done
merged m2 l0:95 l95:96 || fail "two hooks"
[ "$(dump m2)" = "$(dump lone)" ] || fail "two hooks: $(cmp m2.dump lone.dump)"
ok "two hooks, and a range of one feature"

# ranges x parts of a corpus: first the ranges, then the parts
cat tiny/a.jsonl tiny/b.jsonl >tiny/all.jsonl
# shellcheck disable=SC2086
index whole $saes --corpus tiny/all.jsonl || fail "index"
for part in a b; do
	for range in 0:33 33:96; do
		ranged "$part$range" $range --corpus tiny/$part.jsonl || fail "index"
	done
	merged $part ${part}33:96 ${part}0:33 || fail "merge $part"
done
merged ab a b --corpus-name all || fail "merge the parts"
[ "$(dump ab)" = "$(dump whole)" ] || fail "ranges of parts: $(cmp ab.dump whole.dump)"
refuses 1 'joined first of each corpus, then the corpora' merge a0:33 b33:96 -o x
ok "ranges of parts of a corpus"

refuses 1 'features 7 to 29 of plain are in none of the runs: index them with --features 7:30' \
	merge r0:7 r30:96 -o x
refuses 1 'features 0 to 6 of plain are in none' merge r7:30 r30:96 -o x
refuses 1 'features 30 to 95 of plain are in none' merge r0:7 r7:30 -o x
refuses 1 'features 0 to 6 of plain are in none' merge r7:30 -o x
refuses 1 'features 7 to 29 of plain are in run 1 of pair and in run 1 of r7:30' \
	merge r7:30 pair@1 pair@2 -o x
refuses 1 'features 0 to 6 of plain are in run 1 of r0:7 and in run 1 of r0:7' \
	merge r0:7 r0:7 r7:30 r30:96 -o x
refuses 1 'first sought a range of features alone, the other all' merge r0:7 one -o x
ranged few 0:7 --corpus tiny/a.jsonl --examples 5 || fail "index"
refuses 1 'examples' merge few r7:30 r30:96 -o x
index alone --sae tiny/sae/plain --corpus tiny/a.jsonl --features 0:7 || fail "index"
refuses 1 'the number of SAEs' merge alone r7:30 r30:96 -o x
[ ! -e x ] || fail "a store is made in vain"
refuses 1 '--model is of no use here' merge a b --model tiny/model -o x
rm -rf x
ok "gaps, overlaps, mixtures"

# without the model: all but what only it tells, and it says how to have that
all_but()
{
	"$dump_store" "$1" | sed '/^promoted\|^suppressed/d; /^slot/s/ explained.*//'
}
cp -r tiny moved
from="--model moved/model --sae p=moved/sae/plain --sae q=moved/sae/jump --corpus moved/a.jsonl"
for range in 0:50 50:96; do
	# shellcheck disable=SC2086
	saedb-index --quiet --store "g$range" $from --features $range >out 2>&1 ||
		fail "index $range"
done
# shellcheck disable=SC2086
saedb-index --quiet --store gone $from >out 2>&1 || fail "index"
mv moved elsewhere
merged m2 g0:50 g50:96 || fail "merge without the model"
grep -q 'moved/model.*are not known then: name the model with --model' out ||
	fail "it does not say what lacks"
grep -q 'explained variance not known' out || fail "it knows what it cannot"
all_but m2 >m2.txt
all_but gone >gone.txt
cmp m2.txt gone.txt >out 2>&1 || fail "without the model it is another run"
merged m2 g0:50 g50:96 --model elsewhere/model --sae p=elsewhere/sae/plain \
	--sae q=elsewhere/sae/jump || fail "merge with the model named"
[ "$(dump m2)" = "$(dump gone)" ] || fail "the model named: $(cmp m2.dump gone.dump)"
refuses 1 'is not the SAE that was indexed' merge g0:50 g50:96 -o x --model elsewhere/model \
	--sae p=elsewhere/sae/jump --sae q=elsewhere/sae/jump
refuses 1 'NAME being what an SAE of the runs is called, such as p' merge g0:50 g50:96 -o x \
	--model elsewhere/model --sae other=elsewhere/sae/jump
"$PYTHON" - <<'PY'
raw = bytearray(open("elsewhere/model/model.safetensors", "rb").read())
raw[-8] ^= 1
open("elsewhere/model/model.safetensors", "wb").write(raw)
PY
refuses 1 'is not the model that was indexed' merge g0:50 g50:96 -o x \
	--model elsewhere/model --sae p=elsewhere/sae/plain --sae q=elsewhere/sae/jump
ok "a model that is elsewhere, gone or another"

# a part of the demo, three jobs at a time
gzip -dc "$srcdir/demo/corpus/demo.jsonl.gz" | sed 250q >demo.jsonl
demo="--model $srcdir/demo/model --sae $srcdir/demo/sae/8k --corpus demo.jsonl"
# shellcheck disable=SC2086
saedb-index --quiet --store done $demo >out 2>&1 || fail "index the demo"
printf '%s\n' 0:1037 1037:6000 6000:8192 |
	xargs -P 3 -I RANGE sh -c \
		"saedb-index --quiet --threads 1 --store dRANGE $demo --features RANGE" >out 2>&1 ||
	fail "jobs"
merged dm d0:1037 d1037:6000 d6000:8192 || fail "merge the demo"
[ "$(dump dm)" = "$(dump done)" ] || fail "the demo: $(cmp dm.dump done.dump)"
ok "a part of the demo by xargs -P"
done_testing
