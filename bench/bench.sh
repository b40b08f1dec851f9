# SPDX-License-Identifier: ISC
#
# ./dev bench [NAME]: every comparison on one line: what, both figures, their
# ratio, the machine's load. Sides alternate; the median of ROUNDS is shown.
# Names: encode, index, size, scaling, lookup, neighbors, graph, ann, umap; none means all.
# scaling goes up to a million tokens, with LONG=1 to ten millions; graph takes a part of
# the larger shapes, with LONG=1 all rows.
set -euo pipefail
root=$SAEDB_ROOT
# Debian's OpenBLAS does not know newer processors, and falls back to SSE there.
if [ -z "${OPENBLAS_CORETYPE:-}" ] && grep -qw avx512f /proc/cpuinfo 2>/dev/null; then
	export OPENBLAS_CORETYPE=SkylakeX
fi
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
	printf '%-66s %10s  %10s %-10s %6.2fx  load %s\n' "$1" "$2" "$3" "$4" "$5" "$(load)"
}

ratio()
{
	awk -v a="$1" -v b="$2" 'BEGIN {print a / b}'
}

# peer COMMAND...: a Python program, with what its own libraries choose.
peer()
{
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE OMP_WAIT_POLICY=PASSIVE \
		TOKENIZERS_PARALLELISM=false "$@" 2>"$work/peer.log" || {
		tail -n 20 "$work/peer.log" >&2
		exit 1
	}
}

# index_with OPTION...: the demo's corpus into a store of its own.
index_with()
{
	rm -rf "$work/store"
	"$build/saedb-index" --quiet --store "$work/store" --corpus "$corpus" \
		--threads "$threads" "$@" >"$work/index.log"
}

index_once()
{
	index_with --model "$model" --sae "1k=$root/demo/sae/1k" \
		--sae "8k=$root/demo/sae/8k"
}

seconds_of()
{
	start=$(date +%s.%N)
	"$@"
	awk -v a="$start" -v b="$(date +%s.%N)" 'BEGIN {print b - a}'
}

# Asked once: an older saedb-index has no reports.
has_reports()
{
	"$build/saedb-index" --help | grep -q -- '--report FILE'
}

# race_index NAME MODEL MAX_TOKENS SAE...: text to store, against both pipelines.
race_index()
{
	name=$1 lm=$2 max=$3
	shift 3
	set -- "$@"
	args=
	for sae in "$@"; do args="$args --sae $(basename "$sae")=$sae"; done
	! has_reports || args="$args --report $work/report.json"
	for side in ours saelens hand; do : >"$work/$side"; done
	for _ in $(seq "$rounds"); do
		for side in "saelens SAELens" "hand PyTorch by hand"; do
			rm -rf "$work/out"
			peer "$python" "$root/bench/torch_pipeline.py" "${side#* }" "$lm" \
				"$corpus" "$threads" "$max" "$work/out" "$@" >"$work/torch"
			read -r rate n_tokens _ <"$work/torch"
			echo "$rate" >>"$work/${side%% *}"
		done
		# shellcheck disable=SC2086
		s=$(seconds_of index_with --model "$lm" --max-tokens "$max" $args)
		n=$(sed -n 's/^run 1: \([0-9]*\) tokens.*/\1/p' "$work/index.log")
		awk -v n="${n:-$n_tokens}" -v s="$s" 'BEGIN {print n / s}' >>"$work/ours"
	done
	ours=$(median <"$work/ours")
	for side in "saelens SAELens" "hand PyTorch by hand"; do
		theirs=$(median <"$work/${side%% *}")
		line "index $name: text to store / ${side#* }, $threads threads" \
			"$(printf %.0f "$ours")" "$theirs" tokens/s "$(ratio "$ours" "$theirs")"
	done
	flops=$("$python" "$root/bench/flops.py" "$lm" "$@")
	used=$(awk -v f="$flops" -v r="$ours" 'BEGIN {printf "%.1f", f * r / 1e9}')
	line "index $name: products it does / SGEMM of the BLAS" "$used" "$blas" GFLOP/s \
		"$(ratio "$used" "$blas")"
	! has_reports || "$python" "$root/bench/stages.py" "$work/report.json" "index $name"
}

bench_index()
{
	read -r own blas <<-_EOF
		$("$build/bench/rate" "$threads")
	_EOF
	line "index: kernel_gemm / SGEMM of the BLAS" "$own" "$blas" GFLOP/s \
		"$(ratio "$own" "$blas")"
	race_index demo "$model" 0 "$root/demo/sae/1k" "$root/demo/sae/8k"
	gpt2=$root/../shared/data/tokenizers/gpt2
	[ -d "$gpt2" ] || gpt2=
	peer "$python" "$root/bench/random_gpt2.py" "$work/gpt2" "$model" "$corpus" \
		${gpt2:+"$gpt2"} >/dev/null
	race_index "GPT-2 small" "$work/gpt2/model" 40000 "$work/gpt2/sae"
	rm -rf "$work/gpt2"
}

bench_encode()
{
	"$build/bench/bench_encode" "$rounds"
	export SAEDB_OPENBLAS_CORETYPE="${OPENBLAS_CORETYPE:-}"
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE OMP_WAIT_POLICY=PASSIVE TMPDIR="$work" \
		"$python" "$root/bench/encode.py" "$build/bench/encode_pass" \
		"$SAEDB_DELPHI" "$rounds" 8192 2>"$work/peer.log" || {
		tail -n 20 "$work/peer.log" >&2
		exit 1
	}
}

# per WHAT OURS THEIRS N UNIT: bytes each, of which fewer are better.
per()
{
	line "$1" "$(($2 / $4))" "$(($3 / $4))" "$5" "$(ratio "$3" "$2")"
}

bytes_of()
{
	find "$work/store" -type f "$@" -printf '%s\n' |
		awk '{n += $1} END {printf "%d", n}'
}

bench_size()
{
	index_with --model "$model" --sae "8k=$root/demo/sae/8k" --joined
	n=$(sed -n 's/^run 1: \([0-9]*\) tokens.*/\1/p' "$work/index.log")
	mkdir "$work/size"
	peer "$python" "$root/bench/size_delphi.py" "$SAEDB_DELPHI" "$model" \
		"$root/demo/sae/8k" "$corpus" "$work/size" >"$work/delphi"
	read -r n_rows _ splits whole <"$work/delphi"
	peer env PYTHONPATH="$SAEDB_DASHBOARD" "$SAEDB_DASHBOARD_PYTHON" \
		"$root/bench/size_dashboard.py" "$model" "$root/demo/sae/8k" "$work/size" \
		64 >"$work/dashboard"
	read -r n_features np vis html n_examples <"$work/dashboard"
	acts=$(bytes_of -name 'acts.mdb*')
	windows=$(bytes_of -path '*/cut/*' -name 'window.mdb*')
	all=$(bytes_of)
	line "size: activations and tokens, exact / delphi save, int64" \
		"$(((acts + windows) / n))" "$((whole / n_rows))" bytes/token \
		"$(awk -v a="$whole" -v n="$n_rows" -v b="$((acts + windows))" -v m="$n" \
			'BEGIN {print a / n / (b / m)}')"
	line "size: activations and tokens, exact / delphi save_splits, float16" \
		"$(((acts + windows) / n))" "$((splits / n_rows))" bytes/token \
		"$(awk -v a="$splits" -v n="$n_rows" -v b="$((acts + windows))" -v m="$n" \
			'BEGIN {print a / n / (b / m)}')"
	# what is not activations, nor the rows that serve any vector: all features'
	rows=$(bytes_of -path '*/sae/*' ! -name 'logits.mdb*')
	rest=$(((all - acts - rows) / 8192))
	each=$((n_examples / n_features))
	per "size: all else / SAEDashboard for Neuronpedia, $each examples" \
		"$((rest * n_features))" "$np" "$n_features" bytes/feature
	per "size: all else / SAEDashboard save_json" "$((rest * n_features))" "$vis" \
		"$n_features" bytes/feature
	per "size: all else / SAEDashboard HTML" "$((rest * n_features))" "$html" \
		"$n_features" bytes/feature
	find "$work/store" -type f -size +8k -printf '%P %s\n' | sort |
		awk -v n="$n" '{printf "  %-48s %10d bytes, %.1f a token, %.0f a feature\n",
			$1, $2, $2 / n, $2 / 8192}'
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
	peer env OPENBLAS_NUM_THREADS=1 "$python" "$root/bench/neighbors_exact.py" \
		"$build" "$work" | while IFS='|' read -r what ours theirs unit; do
		line "$what" "$ours" "$theirs" "$unit" "$(ratio "$theirs" "$ours")"
	done
}

# graph_at N D: the k-nearest graph of N unit rows beside the BLAS' SGEMM, that has the
# products alone, each by the seconds of CPU that it takes.
graph_at()
{
	"$python" "$root/bench/unit_rows.py" "$1" "$2" "$work/rows"
	read -r wall cpu rate sgemm <<-_EOF
		$("$build/bench/bench_graph" "$work/rows" "$1" "$2" 32 "$threads")
	_EOF
	line "graph: $1 x $2 in $wall s, $cpu s of CPU / SGEMM of the BLAS" "$rate" \
		"$sgemm" GFLOP/s "$(ratio "$rate" "$sgemm")"
}

# What FAISS's search takes, with 1 thread and 2, and how these wait. Its OpenBLAS falls
# back here too: it is told the processor, as ours is.
graph_peer()
{
	for how in "1 PASSIVE" "2 PASSIVE" "2 ACTIVE"; do
		set -- $how
		OMP_WAIT_POLICY="$2" "$python" "$root/bench/graph_faiss.py" \
			"$work/rows" 768 32 "$1" >>"$work/faiss.$1.$2"
	done
}

bench_graph()
{
	make -C "$build" --no-print-directory bench/bench_graph >"$work/make.log" 2>&1 || {
		cat "$work/make.log" >&2
		exit 1
	}
	"$python" "$root/bench/unit_rows.py" 24576 768 "$work/rows"
	for _ in $(seq "$rounds"); do
		"$build/bench/bench_graph" "$work/rows" 24576 768 32 "$threads" \
			"$work/lists" >>"$work/graph"
		graph_peer
	done
	"$python" "$root/bench/graph_faiss.py" "$work/rows" 768 32 1 "$work/lists" 64
	for side in graph faiss.1.PASSIVE; do
		cut -d' ' -f2 "$work/$side" | median >"$work/$side.cpu"
	done
	read -r theirs <"$work/faiss.1.PASSIVE.cpu"
	read -r ours <"$work/graph.cpu"
	line "graph: 24576 x 768, k = 32, CPU / IndexFlatIP, 1 thread" "$ours" "$theirs" s \
		"$(ratio "$theirs" "$ours")"
	ours=$(cut -d' ' -f1 "$work/graph" | median)
	for how in "1 PASSIVE" "2 PASSIVE" "2 ACTIVE"; do
		set -- $how
		theirs=$(cut -d' ' -f1 "$work/faiss.$1.$2" | median)
		line "graph: 24576 x 768, k = 32 / IndexFlatIP, threads $1 $2" "$ours" \
			"$theirs" s "$(ratio "$theirs" "$ours")"
	done
	if [ "${LONG:-0}" = 0 ]; then
		graph_at 16384 2304
		graph_at 65536 512
	else
		graph_at 131072 2304
		graph_at 1000000 512
	fi
}

# SHAPES: which, as 65536x128:0.6.
bench_ann()
{
	# shellcheck disable=SC2086
	peer env OPENBLAS_NUM_THREADS=1 "$python" "$root/bench/ann.py" "$build" "$work" \
		${SHAPES:-} | while IFS='|' read -r what ours theirs unit; do
		line "$what" "$ours" "$theirs" "$unit" "$(ratio "$theirs" "$ours")"
	done
}

# The demo's 8,192 features and 24,576 points; LONG=1 adds 100,000.
bench_umap()
{
	make -C "$build" --no-print-directory tests/tools/umap_layout >"$work/make.log" 2>&1
	sizes=24576
	[ "${LONG:-0}" = 0 ] || sizes="$sizes 100000"
	# shellcheck disable=SC2086
	peer "$python" "$root/bench/umap_learn.py" "$build/tests/tools/umap_layout" \
		"$root/demo/sae" "$rounds" $sizes
}

make -C "$build" --no-print-directory bench/bench_ann bench/bench_encode \
	bench/bench_neighbors bench/encode_pass bench/load bench/rate \
	tests/tools/make_sae_store >"$work/make.log" 2>&1 || {
	cat "$work/make.log" >&2
	exit 1
}
names="encode index size scaling lookup neighbors graph ann umap"
for name in ${1:-$names}; do
	case " $names " in
	*" $name "*) "bench_$name" ;;
	*)
		echo "bench: no benchmark '$name'; there are $names" >&2
		exit 2
		;;
	esac
done
