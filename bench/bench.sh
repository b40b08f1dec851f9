# SPDX-License-Identifier: ISC
#
# ./dev bench [NAME]: every comparison on one line: what, both figures, their
# ratio, the machine's load. Sides alternate; the median of ROUNDS is shown.
# Names: index, scaling, lookup, neighbors; none means all. scaling goes up to a million
# tokens, with LONG=1 to ten millions.
set -euo pipefail
root=$SAEDB_ROOT
build=$SAEDB_BUILD
python=$SAEDB_PYTHON
rounds=${ROUNDS:-3}
threads=${THREADS:-2}
model=$root/demo/model
corpus=$root/demo/corpus/demo.jsonl.gz
work=$(mktemp -d "${TMPDIR:-/tmp}/saedb-bench.XXXXXX")
servers=
trap 'kill $servers 2>/dev/null || true; wait; rm -rf "$work"' EXIT

median()
{
	sort -g | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'
}

load()
{
	cut -d' ' -f1 /proc/loadavg
}

# line WHAT OURS THEIRS UNIT RATIO
line()
{
	printf '%-58s %12s  %12s %-10s %6.2fx  load %s\n' "$1" "$2" "$3" "$4" "$5" "$(load)"
}

ratio()
{
	awk -v a="$1" -v b="$2" 'BEGIN {print a / b}'
}

index_once()
{
	rm -rf "$work/store"
	"$build/saedb-index" --quiet --store "$work/store" --model "$model" \
		--sae "1k=$root/demo/sae/1k" --sae "8k=$root/demo/sae/8k" \
		--corpus "$corpus" --threads "$threads" >/dev/null
}

seconds_of()
{
	start=$(date +%s.%N)
	"$@"
	awk -v a="$start" -v b="$(date +%s.%N)" 'BEGIN {print b - a}'
}

bench_index()
{
	: >"$work/ours"
	: >"$work/theirs"
	: >"$work/pass"
	for _ in $(seq "$rounds"); do
		env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE OMP_WAIT_POLICY=PASSIVE \
			"$python" "$root/bench/torch_pipeline.py" "$model" "$corpus" \
			"$threads" "$root/demo/sae/1k" "$root/demo/sae/8k" \
			2>/dev/null >"$work/torch"
		read -r rate n_tokens _ <"$work/torch"
		echo "$rate" >>"$work/theirs"
		s=$(seconds_of index_once)
		awk -v n="$n_tokens" -v s="$s" 'BEGIN {print n / s}' >>"$work/ours"
	done
	ours=$(median <"$work/ours")
	theirs=$(median <"$work/theirs")
	line "index: saedb-index, whole / PyTorch + SAELens, pass only" \
		"$(printf %.0f "$ours")" "$theirs" tokens/s "$(ratio "$ours" "$theirs")"
	read -r own blas <<-_EOF
		$("$build/bench/rate" "$threads")
	_EOF
	flops=$("$python" "$root/bench/flops.py" "$model" "$root/demo/sae/1k" "$root/demo/sae/8k")
	used=$(awk -v f="$flops" -v r="$ours" 'BEGIN {printf "%.1f", f * r / 1e9}')
	line "index: products it does / SGEMM of the BLAS" "$used" "$blas" GFLOP/s \
		"$(ratio "$used" "$blas")"
	line "index: kernel_gemm / SGEMM of the BLAS" "$own" "$blas" GFLOP/s \
		"$(ratio "$own" "$blas")"
}

# reported THREADS CORPUS OPTION...: an index, and of its report: seconds, tokens/s of the
# pass, CPU microseconds a token, microseconds a token, MB resident.
reported()
{
	local n=$1 from=$2
	shift 2
	rm -rf "$work/store"
	"$build/saedb-index" --quiet --store "$work/store" --model "$model" \
		--sae "1k=$root/demo/sae/1k" --sae "8k=$root/demo/sae/8k" \
		--corpus "$from" --threads "$n" --report "$work/report" "$@" >/dev/null
	"$python" -c 'import json, sys
r = json.load(open(sys.argv[1]))
run = r["runs"][0]
cpu_s = sum(s["cpu_s"] for s in r["stages"].values())
print("%.2f %.0f %.1f %.1f %.0f" % (
    r["seconds"], run["tokens_per_s"], cpu_s / run["n_tokens"] * 1e6,
    r["seconds"] / run["n_tokens"] * 1e6, r["memory"]["peak_bytes"] / 1e6))' "$work/report"
}

bench_scaling()
{
	: >"$work/one"
	: >"$work/two"
	for _ in $(seq "$rounds"); do
		reported 1 "$corpus" >>"$work/one"
		reported 2 "$corpus" >>"$work/two"
	done
	for what in "1 whole seconds" "2 pass tokens/s" "3 CPU us/token"; do
		set -- $what
		a=$(cut -d' ' -f"$1" "$work/two" | median)
		b=$(cut -d' ' -f"$1" "$work/one" | median)
		r=$(ratio "$a" "$b")
		[ "$3" = tokens/s ] || r=$(ratio "$b" "$a")
		line "scaling: $2, two threads / one" "$a" "$b" "$3" "$r"
	done
	sizes="100000 1000000"
	[ "${LONG:-0}" = 0 ] || sizes="$sizes 10000000"
	"$python" "$root/bench/repeat_corpus.py" "$corpus" "$([ "${LONG:-0}" = 0 ] && echo 4 || echo 31)" \
		"$work/long.jsonl.gz"
	first=
	for n in $sizes; do
		read -r _ _ cpu all mb <<-_EOF
			$(reported 2 "$work/long.jsonl.gz" --max-tokens "$n")
		_EOF
		first=${first:-$all}
		line "scaling: $n tokens / 100000, $cpu us of CPU, $mb MB" "$all" "$first" \
			us/token "$(ratio "$first" "$all")"
	done
}

# wait_socket PATH
wait_socket()
{
	for _ in $(seq 100); do
		[ ! -S "$1" ] || return 0
		sleep 0.1
	done
	echo "bench: no socket at $1" >&2
	exit 1
}

bench_lookup()
{
	index_once
	"$build/saedbd" --store "$work/store" --socket "$work/s" &
	servers="$servers $!"
	redis-server --port 0 --unixsocket "$work/r" --save '' --appendonly no \
		--dir "$work" >/dev/null &
	servers="$servers $!"
	wait_socket "$work/s"
	wait_socket "$work/r"
	"$python" "$root/bench/fill_redis.py" "$work/s" "$work/r" 8k >"$work/keys"
	for shape in "1 1" "50 1" "50 16"; do
		set -- $shape
		for what in rate p50 p99; do : >"$work/a.$what"; : >"$work/b.$what"; done
		for _ in $(seq "$rounds"); do
			for side in "saedb s a" "redis r b"; do
				set -- $shape $side
				read -r rate p50 p99 bytes <<-_EOF
					$("$build/bench/load" "$3" "$work/$4" "$work/keys" "$1" "$2" 3)
				_EOF
				echo "$rate" >>"$work/$5.rate"
				echo "$p50" >>"$work/$5.p50"
				echo "$p99" >>"$work/$5.p99"
			done
		done
		a=$(median <"$work/a.rate")
		b=$(median <"$work/b.rate")
		line "lookup: feature.get / redis GET, $1 connections, depth $2" "$a" "$b" \
			requests/s "$(ratio "$a" "$b")"
		for what in p50 p99; do
			a=$(median <"$work/a.$what")
			b=$(median <"$work/b.$what")
			line "lookup: $what, $1 connections, depth $2, $bytes bytes" "$a" "$b" \
				us "$(ratio "$b" "$a")"
		done
	done
}

bench_neighbors()
{
	[ -d "$work/store" ] || index_once
	read -r stored searched peer n d <<-_EOF
		$(env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE "$python" \
			"$root/bench/neighbors_faiss.py" "$build/saedbd" "$work/store" 8k)
	_EOF
	line "neighbors: stored list / FAISS in Python, $n x $d" "$stored" "$peer" ms \
		"$(ratio "$peer" "$stored")"
	line "neighbors: any vector through saedbd / FAISS in Python" "$searched" "$peer" ms \
		"$(ratio "$peer" "$searched")"
}

make -C "$build" --no-print-directory bench/load bench/rate >"$work/make.log" 2>&1 || {
	cat "$work/make.log" >&2
	exit 1
}
for name in ${1:-index scaling lookup neighbors}; do
	case $name in
	index | scaling | lookup | neighbors) "bench_$name" ;;
	*)
		echo "bench: no benchmark '$name'; there are index, scaling, lookup, neighbors" >&2
		exit 2
		;;
	esac
done
