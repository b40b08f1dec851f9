# SPDX-License-Identifier: ISC
# The rows of SAEs, decoders and encoders, as floats and in bytes: they say of each other
# what doc/disk.md says, whatever the threads and the CPU, in one run or merged; searches
# through saedbd by them, and without them, find what plain arithmetic finds; and files
# that are damaged, cut short or of another SAE are refused. no-tsan: T40 has its threads.
set -eu
. "$srcdir/tests/indexer/lib.sh"
saes="--sae plain=tiny/sae/plain --sae topk=tiny/sae/topk --sae jump=tiny/sae/jump"
head -n 20 tiny/a.jsonl >a.jsonl
head -n 20 tiny/b.jsonl >b.jsonl
# shellcheck disable=SC2086
{
	index one $saes --corpus a.jsonl --corpus b.jsonl || fail "index"
	SAEDB_CPU=portable index plain $saes --corpus a.jsonl --corpus b.jsonl --threads 1 ||
		fail "index"
	SAEDB_CPU=avx2 index avx2 $saes --corpus a.jsonl --threads 3 || fail "index"
	index part.a $saes --corpus a.jsonl || fail "index"
	index part.b $saes --corpus b.jsonl || fail "index"
}
saedb-index merge --quiet part.a part.b -o merged >out 2>&1 || fail "merge"
rows()
{
	(cd "$1" && sha256sum sae/*/*.f32 sae/*/*.i8)
}
[ "$("$PYTHON" "$srcdir/tests/indexer/rows_in_bytes.py" one)" = 6 ] || fail "rows in bytes"
rows one >want
[ "$(wc -l <want)" = 12 ] || fail "not 12 files"
for store in plain avx2 part.b merged; do
	rows $store | cmp - want >out 2>&1 || fail "$store has other rows"
done
saedb-index verify one --features 2 >out 2>&1 || fail "verify"
ok "rows are the same on every way, and in bytes what they are in floats"

gzip -dc "$srcdir/tests/flow/data/store-1.tar.gz" | tar xf - || fail "tar"
[ ! -e store/sae/a662dcfda8e5815c/decoder.i8 ] || fail "the old store is not old"
mv store old
. "$srcdir/tests/daemon/lib.sh"
for store in one old; do
	start_daemon s --store $store
	timeout 120 "$PYTHON" "$srcdir/tests/daemon/nearest.py" s $store >out 2>&1 ||
		fail "$store: $(cat out)"
	stop_daemon
done
ok "the nearest of a vector"

# damaged STORE TEXT: a search in it is refused, and the answer says that.
damaged()
{
	start_daemon s --store "$1"
	! timeout 60 "$PYTHON" "$srcdir/tests/daemon/nearest.py" s "$1" >out 2>&1 ||
		fail "$1: there are answers"
	grep -q "$2" out || fail "$1: it does not say '$2': $(cat out)"
	stop_daemon
}
one=$(ls one/sae | head -n 1)
cp -r one flipped
printf '\252' | dd of="flipped/sae/$one/decoder.i8" bs=1 seek=3000 conv=notrunc 2>/dev/null
damaged flipped "sae/$one/decoder.i8: the file does not match its checksum"
cp -r one foreign
cp "one/sae/$one/encoder.i8" "foreign/sae/$one/decoder.i8"
damaged foreign "sae/$one/decoder.i8: the file does not match its checksum"
for file in decoder.i8 encoder.i8 encoder.f32; do
	rm -rf short
	cp -r one short
	truncate -s -1 "short/sae/$one/$file"
	! timeout 60 saedbd --socket s --store short >out 2>&1 || fail "$file: it serves"
	grep -q "sae/$one/$file: .* bytes where there were" out || fail "$file: $(cat out)"
	rm "short/sae/$one/$file"
	! timeout 60 saedbd --socket s --store short >out 2>&1 || fail "no $file: it serves"
	grep -q "sae/$one/$file: the file is missing" out || fail "no $file: $(cat out)"
done
ok "damaged rows are refused"
echo 1..3
