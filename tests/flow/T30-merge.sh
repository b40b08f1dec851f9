# SPDX-License-Identifier: ISC
# Runs over parts of a corpus, merged, are the run over all of it: however many parts,
# in whatever order, merged again, into whatever store, killed and done again; and what
# is said of runs that do not belong together. A run over more corpus takes what a run of
# its store has. no-tsan: it starts two hundred processes,
# whose threads are those of T11.
set -eu
. "$srcdir/tests/indexer/lib.sh"
saes="--sae tiny/sae/plain --sae tiny/sae/topk"
cat tiny/a.jsonl tiny/b.jsonl >all.jsonl

# merges OUT STORE...: quietly; its output goes to ./out.
merges()
{
	local out=$1
	shift
	saedb-index merge --quiet "$@" -o "$out" >out 2>&1 || fail "merge $* -o $out"
}
# is_one STORE: it holds what one run over the whole corpus gives, and nothing else.
is_one()
{
	[ "$(dump "$1")" = "$want" ] || fail "$1 is not as one run: $(cmp one.dump "$1.dump")"
}

# shellcheck disable=SC2086
index one $saes --corpus all.jsonl || fail "index"
want=$(dump one)

# As saedb-index(1) has it, but for what stands for the model and the SAEs.
split -n l/7 -d all.jsonl part.
export saes
ls part.0? | xargs -P 2 -I@ sh -c 'saedb-index --quiet --threads 1 --store @.store \
	--model tiny/model $saes --corpus @' >out 2>&1 || fail "index the parts"
saedb-index merge --quiet part.0?.store -o whole >out 2>&1 || fail "merge the parts"
grep -q '^run 1: .* 200 documents; merged from 7 runs' out || fail "it does not tell the run"
is_one whole
saedb-index verify whole >out 2>&1 || fail "verify"
grep -q ': equal' out || fail "nothing was verified"
[ -z "$(find whole/tmp -mindepth 1)" ] || fail "something is left in tmp"
ok "seven parts, and the merged run verifies"

merges other part.03.store part.01.store part.06.store part.00.store part.02.store \
	part.05.store part.04.store --threads 3 --memory 200M --corpus-name other
is_one other
saedb-index list other | grep -q ' on other: ' || fail "the corpus' name"
merges ab part.04.store part.00.store
merges cd part.03.store part.06.store --threads 1
merges abcd cd ab part.05.store
merges again part.01.store abcd part.02.store
is_one again
merges one.copy one
is_one one.copy
ok "another order, merged runs merged again, one alone"

for n in 2 3 4; do
	split -n l/$n -d all.jsonl "of$n."
	stores=
	for f in of$n.*; do
		# shellcheck disable=SC2086
		index "$f.store" $saes --corpus "$f" || fail "index $f"
		stores="$f.store $stores"
	done
	# shellcheck disable=SC2086
	merges "whole$n" $stores
	is_one "whole$n"
done
ok "one, two, three, four and seven parts: one store"

# Copies of documents within parts and across them, as one run has them.
head -n 20 tiny/b.jsonl >some.jsonl
# shellcheck disable=SC2086
{
	index twice $saes --corpus tiny/a.jsonl --corpus some.jsonl --corpus some.jsonl \
		--corpus tiny/b.jsonl || fail "index copies"
	index x $saes --corpus some.jsonl --corpus tiny/a.jsonl || fail "index copies"
	index y --sae tiny/sae/topk --sae tiny/sae/plain --corpus tiny/b.jsonl \
		--corpus some.jsonl || fail "index copies"
}
merges xy x y
[ "$(dump xy)" = "$(dump twice)" ] || fail "copies: $(cmp twice.dump xy.dump)"
merges doubled part.00.store part.00.store
grep -q 'are the same run: its documents count twice' out || fail "no word of doubles"
# shellcheck disable=SC2086
index doubled.one $saes --corpus part.00 --corpus part.00 || fail "index doubles"
[ "$(dump doubled)" = "$(dump doubled.one)" ] || fail "doubles"
ok "copies of documents, SAEs in another order"

# Two runs of two contexts, all in one command; then by their names.
both="--sae tiny/sae/plain --sae tiny/sae/short"
# shellcheck disable=SC2086
{
	index two $both --corpus all.jsonl || fail "index"
	index two.a $both --corpus tiny/a.jsonl || fail "index"
	index two.b $both --corpus tiny/b.jsonl || fail "index"
}
merges two.ab two.a two.b
[ "$("$dump_store" two.ab | grep '^run' | sort)" = \
	"$("$dump_store" two | grep '^run' | sort)" ] || fail "two runs"
saedb-index verify two.ab >out 2>&1 || fail "verify"
merges two.some two.a@2 two.b@2
[ "$(saedb-index list two.some | grep -c '^run')" = 1 ] || fail "not one run"
id=$(saedb-index list two.b | sed -n 's/^run 1  \([0-9a-f]*\) .*/\1/p')
merges two.some two.a@1 "two.b@$id"
[ "$("$dump_store" two.some | grep '^run' | sort)" = \
	"$("$dump_store" two | grep '^run' | sort)" ] || fail "runs by name"
ok "runs of several contexts, runs by number and id"

# Into stores that hold something: another SAE at the same hook, whose neighbors are
# those of an index there; a part itself; and the result again.
for store in there here; do
	index $store --sae tiny/sae/jump --corpus tiny/b.jsonl || fail "index"
done
# shellcheck disable=SC2086
index here $saes --corpus all.jsonl || fail "index"
merges there part.0?.store
[ "$(dump there)" = "$(dump here)" ] || fail "another SAE there: $(cmp here.dump there.dump)"
cp -r part.00.store into
merges into into part.01.store part.02.store part.03.store part.04.store part.05.store \
	part.06.store
[ "$("$dump_store" into | grep -A1 '^run' | tail -n 2)" = \
	"$("$dump_store" one | grep -A1 '^run')" ] || fail "into a part"
saedb-index verify into >out 2>&1 || fail "verify"
merges there part.0?.store
grep -q '^run 2 is there already' out || fail "it is made again"
index there --sae topk=tiny/sae/topk --sae plain=tiny/sae/plain --corpus all.jsonl ||
	fail "index"
grep -q '^run 2 is there already' out || fail "index does not know it"
ok "into stores that hold something"

# ---- what does not belong together
# differs TEXT OPTION...: a run over a part, with these options, is refused.
n_differ=0
differs()
{
	local text=$1
	shift
	n_differ=$((n_differ + 1))
	rm -rf d
	saedb-index --quiet --store d "$@" --corpus tiny/b.jsonl >out 2>&1 || fail "index $*"
	rm -rf none
	refuses 1 "$text" merge part.00.store d -o none
	grep -q 'part.00.store, run 1 and d, run 1\|^saedb-index: d, run 1 cannot' out ||
		fail "it does not name both: $*"
	[ ! -e none ] || fail "something was made"
}
m="--model tiny/model"
sed 's/"n_positions": 24/"n_positions": 23/' tiny/model/config.json >config.json
cp -r tiny/model changed
printf '\001' | dd of=changed/model.safetensors bs=1 seek=9000 conv=notrunc 2>/dev/null
# shellcheck disable=SC2086
{
	differs 'the model is [0-9a-f]* there and [0-9a-f]* here' --model changed $saes
	differs 'the number of SAEs is 2 there and 1 here' $m --sae tiny/sae/plain
	differs 'the SAE topk ([0-9a-f]*) is not in the second' $m --sae tiny/sae/plain \
		--sae tiny/sae/jump
	differs 'the context is 24 there and 20 here' $m $saes --context 20
	differs 'BOS in front is yes there and no here' $m $saes --bos no
	differs 'examples is 20 there and 5 here' $m $saes --examples 5
	differs 'dedup-radius is 5 there and 2' $m $saes --dedup-radius 2
	differs 'interval-samples is 5 there and 1' $m $saes --interval-samples 1
	differs 'seed is 0 there and 3 here' $m $saes --seed 3
	differs 'count-special is no there and yes' $m $saes --count-special
	differs 'text-field is "text" there and "id" here' $m $saes --text-field id
	differs 'strict is no there and yes' $m $saes --strict
	differs 'hook of an SAE is blocks.1.hook_resid_pre there' $m $saes \
		--hook blocks.1.hook_resid_post
	differs 'run across documents (--joined)' $m $saes --joined
	differs 'max-tokens left out a part' $m $saes --max-tokens 500
	differs 'sought a range of features alone' $m --sae tiny/sae/plain \
		--features 0:32
}
refuses 1 'run across documents\|cannot be merged' merge d part.00.store -o none
"$builddir/tests/tools/make_shards" tiny/model tiny/b.jsonl 24 200 blocks.1.hook_resid_pre \
	>acts.bin || fail "make shards"
# shellcheck disable=SC2086
index fed $saes --activations acts.bin || fail "index shards"
refuses 1 'fed, run 1 cannot be merged: .*made elsewhere' merge part.00.store fed -o none
"$PYTHON" - >ids.npy <<'END'
import struct, sys
head = b"{'descr': '<u4', 'fortran_order': False, 'shape': (3, 24)}".ljust(117) + b"\n"
sys.stdout.buffer.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head +
                        struct.pack("<72I", *([0] + [9] * 23) * 3))
END
# shellcheck disable=SC2086
index rows $saes --corpus ids.npy || fail "index token ids"
refuses 1 'rows, run 1 cannot be merged: .*token ids' merge part.00.store rows -o none
! saedb-index list none 2>/dev/null | grep -q '^run' || fail "a run was made"
rm -rf none
ok "$n_differ ways in which runs differ, and windows that came as they are"

refuses 1 'nowhere: no such' merge part.00.store nowhere -o none
refuses 1 'part.00.store: there is no run 7' merge one part.00.store@7 -o none
refuses 1 'part.00.store: there is no run 7' merge part.00.store@7 one -o none
refuses 2 'usage: saedb-index merge' merge part.00.store
refuses 2 'usage: saedb-index merge' merge -o none
refuses 2 '-o needs its STORE' merge part.00.store -o
refuses 2 '--examples is no option of merge' merge part.00.store -o none --examples 3
# shellcheck disable=SC2046
refuses 1 '300 stores; merge takes 256' merge $(yes part.00.store | head -n 300) -o none
mkdir hollow
index hollow --sae tiny/sae/plain --corpus tiny/b.jsonl || fail "index"
saedb-index rm 1 --store hollow >out || fail "rm"
refuses 1 'hollow: the store has no run to merge' merge part.00.store hollow -o none
cp -r part.00.store named
saedb-index rename plain topk2 --store named >out || fail "rename"
saedb-index rename topk plain --store named >out || fail "rename"
refuses 1 'named calls another SAE plain' merge part.01.store part.02.store -o named
[ ! -e none ] || fail "something was made"
ok "wrong usage"

# ---- a run of before has no sums
gzip -dc "$srcdir/tests/flow/data/store-1.tar.gz" | tar xf - || fail "tar"
index new --sae tiny/sae/topk --corpus tiny/a.jsonl || fail "index"
head -n 14 tiny/b.jsonl >few.jsonl
index withnew --sae tiny/sae/topk --corpus tiny/a.jsonl --corpus few.jsonl || fail "index"
merges withold new store
grep -q 'explained variance is not known: store, run 1 was made before' out ||
	fail "it does not say why"
"$dump_store" withnew | sed '/^slot/s/ explained.*//' >a
"$dump_store" withold | sed '/^slot/s/ explained.*//' >b
cmp a b >out 2>&1 || fail "all else is not the same"
"$dump_store" withold | grep -q '^slot.*explained 7ff8' || fail "explained variance is known"
ok "runs of before, that have no sums"

# ---- damage
# damaged FILE OFFSET TEXT: of a part; nothing is published.
damaged()
{
	rm -rf d none
	cp -r part.02.store d
	printf '\252\252\252\252' | dd of="$(echo d/$1)" bs=1 seek="$2" conv=notrunc 2>/dev/null
	refuses 1 "$3" merge part.00.store d part.01.store -o none
	! saedb-index list none 2>/dev/null | grep -q '^run' || fail "a run was made"
}
damaged 'run/*/00/acts.mdb' 30000 'd/run/.*/00/acts.mdb: .* checksum'
damaged 'run/*/01/sums' 30 'd/run/.*/01/sums: .* checksum'
damaged 'cut/*/window.mdb' 30000 'd/cut/.*/window.mdb: .* checksum'
damaged 'cut/*/cut.db' 5000 'd/cut/.*/cut.db: .* checksum'
rm -rf d none
cp -r part.02.store d
rm d/run/*/00/acts.mdb
refuses 1 'acts.mdb: the file is missing' merge part.00.store d -o none
rm -rf none
ok "damaged parts are named"

# ---- killed, stopped
index kept --sae tiny/sae/jump --corpus tiny/b.jsonl || fail "index"
before=$(dump kept)
cp -r kept after
merges after part.0?.store
after=$(dump after)
start=$(date +%s%N)
cp -r kept k
merges k part.0?.store
took=$(($(date +%s%N) - start))
killed=0
for i in $(seq 12); do
	rm -rf k
	cp -r kept k
	saedb-index merge --quiet part.0?.store -o k >out 2>&1 &
	pid=$!
	sleep "$(awk -v t=$took -v r=$RANDOM 'BEGIN {print t / 1e9 * r / 32768}')"
	if [ $i -gt 9 ]; then sig=INT; else sig=KILL; fi
	kill -$sig $pid 2>/dev/null || :
	rc=0
	wait $pid 2>/dev/null || rc=$?
	[ $rc = 0 ] || killed=$((killed + 1))
	[ $rc = 0 ] || [ $rc = 137 ] || [ $rc = 130 ] || fail "it ends with $rc"
	now=$(dump k)
	[ "$now" = "$before" ] || [ "$now" = "$after" ] || fail "kill $i: neither old nor new"
	merges k part.0?.store
	[ "$(dump k)" = "$after" ] || fail "kill $i: merged again it differs"
	[ -z "$(find k/tmp -mindepth 1)" ] || fail "kill $i: something is left in tmp"
done
echo "# killed or stopped $killed of 12"
[ $killed -ge 3 ] || fail "only $killed were killed"
ok "killed and stopped at random moments"

# ---- more corpus for a finished run
# grown STORE OPTION...: the last run there is as one over the whole corpus.
runs()
{
	"$dump_store" "$1" | sed -n '/^run /,$p' | awk -v n="$2" '/^run / {i++} i == n'
}
runs one 1 >one.run
grown()
{
	local store=$1
	shift
	# shellcheck disable=SC2086
	index "$store" $saes --corpus all.jsonl "$@" || fail "index more: $*"
	runs "$store" "$(saedb-index list "$store" | grep -c '^run')" >last.run
	cmp one.run last.run >why 2>&1 || fail "more corpus, $*: $(cat why)"
}
for options in '--threads 1' '--threads 3 --batch-tokens 37' '--batch-tokens 1' \
	'--memory 200M --checkpoint 0'; do
	rm -rf g
	# shellcheck disable=SC2086
	index g $saes --corpus tiny/a.jsonl || fail "index"
	# shellcheck disable=SC2086
	grown g $options
	grep -q '^433 of 652 windows taken from run 1' out || fail "nothing is taken"
done
saedb-index verify g >out 2>&1 || fail "verify"
[ -z "$(find g/tmp -mindepth 1)" ] || fail "something is left in tmp"
rm -rf g
# shellcheck disable=SC2086
{
	index g --sae tiny/sae/topk --sae tiny/sae/jump --sae tiny/sae/plain \
		--corpus some.jsonl --examples 3 --seed 5 || fail "index"
	index g $saes --corpus tiny/b.jsonl || fail "index"
	grep -q ' windows taken from run 1' out || fail "not from a run of more SAEs"
}
grown g
grep -q '^219 of 652 windows taken from run 2' out || fail "not from the larger run"
# shellcheck disable=SC2086
index g $saes --corpus all.jsonl --examples 7 || fail "index"
grep -q '^652 of 652 windows taken from run 3' out || fail "not from the same corpus"
grep -q 's of model at 0 tokens' out || fail "the model runs"
# shellcheck disable=SC2086
index h $saes --corpus all.jsonl --examples 7 || fail "index"
runs g 4 >a
runs h 1 >b
cmp a b >out 2>&1 || fail "other options"
# shellcheck disable=SC2086
index c $saes --corpus tiny/b.jsonl --corpus tiny/b.jsonl || fail "index copies"
# shellcheck disable=SC2086
index c $saes --corpus tiny/b.jsonl --corpus all.jsonl || fail "index copies"
grep -q '^438 of 871 windows taken from run 1' out || fail "copies are not taken"
# shellcheck disable=SC2086
index cc $saes --corpus tiny/b.jsonl --corpus all.jsonl || fail "index copies"
runs c 2 >a
runs cc 1 >b
cmp a b >out 2>&1 || fail "copies"
# parts of which some were made of others
rm -rf g
# shellcheck disable=SC2086
{
	index g $saes --corpus part.00 || fail "index"
	index g $saes --corpus part.00 --corpus part.01 --corpus part.02 || fail "index"
	grep -q ' windows taken from run 1' out || fail "nothing is taken"
}
merges gathered g part.03.store part.04.store part.05.store part.06.store
is_one gathered
ok "more corpus takes what a run of the store has"

# not_taken WHY OPTION...: nothing of the run over tiny/a.jsonl
rm -rf base
# shellcheck disable=SC2086
index base $saes --corpus tiny/a.jsonl || fail "index"
not_taken()
{
	local why=$1
	shift
	rm -rf g
	cp -r base g
	index g "$@" || fail "index: $why"
	! grep -q ' windows taken from' out || fail "it takes windows: $why"
}
sed 1d tiny/a.jsonl >less.jsonl
# shellcheck disable=SC2086
{
	not_taken 'a document less' $saes --corpus less.jsonl --corpus tiny/b.jsonl
	not_taken 'joined' $saes --corpus all.jsonl --joined
	not_taken 'other positions count' $saes --corpus all.jsonl --count-special
	not_taken 'another context' $saes --corpus all.jsonl --context 20
	not_taken 'no BOS' $saes --corpus all.jsonl --bos no
	not_taken 'an SAE that it had not' $saes --sae tiny/sae/jump --corpus all.jsonl
	not_taken 'a range' --sae tiny/sae/plain --features 0:32 --corpus all.jsonl
	not_taken 'cut short' $saes --corpus all.jsonl --max-tokens 3000
	not_taken 'told not to' $saes --corpus all.jsonl --fresh
}
runs g 2 >last.run
cmp one.run last.run >out 2>&1 || fail "--fresh"
cp -r store g2 # of before, without sums
index g2 --sae tiny/sae/topk --corpus tiny/b.jsonl || fail "index"
! grep -q ' windows taken from' out || fail "it takes windows of a run without sums"
rm -rf g
cp -r base g
printf '\252\252' | dd of="$(echo g/run/*/00/sums)" bs=1 seek=40 conv=notrunc 2>/dev/null
grown g
grep -q 'run 1 is not reused: .*/00/sums: .* checksum' out || fail "damage is not told"
rm -rf g
cp -r base g
printf '\252\252' | dd of="$(echo g/run/*/01/acts.mdb)" bs=1 seek=9000 conv=notrunc 2>/dev/null
# shellcheck disable=SC2086
! index g $saes --corpus all.jsonl || fail "damaged activations are taken"
grep -q -- '--fresh does without.*/01/acts.mdb: .* checksum' out || fail "damage is not told"
# shellcheck disable=SC2086
index g $saes --corpus all.jsonl --fresh || fail "--fresh beside damage"
saedb-index verify g --run 2 >out 2>&1 || fail "verify"
ok "what is not taken"

# killed at a checkpoint, and done by the same command; and without what was taken
cp -r base g0
for how in '' --fresh; do
	rm -rf g
	cp -r g0 g
	# shellcheck disable=SC2086
	SAEDB_CHECKPOINT_MS=1 saedb-index --quiet --store g --model tiny/model $saes \
		--corpus all.jsonl --batch-tokens 24 >out 2>&1 &
	pid=$!
	kill_checkpointed g
	grown g $how
	if [ -z "$how" ]; then
		grep -q 'resuming run' out || fail "it does not go on"
		grep -q '^433 of 652 windows taken from run 1' out || fail "nothing is taken"
	else
		grep -q 'other windows were taken.*starts anew' out || fail "it does not say why"
	fi
done
ok "killed while windows are taken"
done_testing
