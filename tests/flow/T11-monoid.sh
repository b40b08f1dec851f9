# SPDX-License-Identifier: ISC
# The monoid law: what is stored depends on neither threads, batches, memory, nor the
# files the corpus comes in and their order.
set -eu
. "$srcdir/tests/indexer/lib.sh"
saes="--sae tiny/sae/plain --sae tiny/sae/jump --sae tiny/sae/topk --sae tiny/sae/late"

# shellcheck disable=SC2086
one()
{
	local store=$1
	shift
	index "$store" $saes "$@" || fail "index $*"
	dump "$store"
}

cat tiny/a.jsonl tiny/b.jsonl >tiny/all.jsonl
want=$(one base --corpus tiny/all.jsonl --threads 1)
for threads in 2 3 8; do
	[ "$(one "t$threads" --corpus tiny/all.jsonl --threads $threads)" = "$want" ] ||
		fail "--threads $threads differs: $(cmp base.dump t$threads.dump)"
done
ok "threads"

for batch in 1 37 700 100000; do
	[ "$(one "b$batch" --corpus tiny/all.jsonl --batch-tokens $batch)" = "$want" ] ||
		fail "--batch-tokens $batch differs: $(cmp base.dump b$batch.dump)"
done
[ "$(one memory --corpus tiny/all.jsonl --memory 260M --threads 2)" = "$want" ] ||
	fail "--memory differs"
ok "batches, memory"

[ "$(one order --corpus tiny/b.jsonl --corpus tiny/a.jsonl --threads 2)" = "$want" ] ||
	fail "the order of files differs: $(cmp base.dump order.dump)"
sort -R --random-source=tiny/model/model.safetensors tiny/all.jsonl >tiny/mixed.jsonl
split -n l/5 tiny/mixed.jsonl tiny/part. --additional-suffix=.jsonl
corpus=
for f in tiny/part.*; do
	corpus="--corpus $f $corpus"
done
# shellcheck disable=SC2086
[ "$(one mixed $corpus --threads 3 --batch-tokens 99)" = "$want" ] ||
	fail "shuffled lines in five files differ: $(cmp base.dump mixed.dump)"
ok "files and their order"

want=$(one j1 --corpus tiny/all.jsonl --joined --threads 1)
[ "$(one j2 --corpus tiny/a.jsonl --corpus tiny/b.jsonl --joined --threads 3 \
	--batch-tokens 50)" = "$want" ] || fail "joined: $(cmp j1.dump j2.dump)"
[ "$(one j3 --corpus tiny/b.jsonl --corpus tiny/a.jsonl --joined)" != "$want" ] ||
	fail "joined windows do not follow the corpus' order"
ok "joined, where the order decides"

for cpu in portable avx2 avx512; do
	SAEDB_CPU=$cpu
	export SAEDB_CPU
	rm -rf cpu
	one cpu --corpus tiny/all.jsonl >"cpu.$cpu"
done
unset SAEDB_CPU
for cpu in portable avx2 avx512; do
	cmp "cpu.$cpu" cpu.portable || fail "SAEDB_CPU=$cpu differs from portable"
done
ok "every path of the CPU"

for pass in f32 int8; do
	for cpu in portable avx2 avx512; do
		rm -rf pass
		SAEDB_PASS=$pass SAEDB_CPU=$cpu one pass --corpus tiny/all.jsonl \
			>"pass.$pass"
		cmp "pass.$pass" cpu.portable ||
			fail "SAEDB_PASS=$pass SAEDB_CPU=$cpu differs from portable"
	done
done
ok "every pass"
done_testing
