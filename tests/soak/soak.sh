# SPDX-License-Identifier: ISC
#
# ./dev soak [STEP]: the tests that take hours. Each step that is done is noted in
# build/soak/done and skipped the next time, so a stopped soak goes on where it was;
# `rm -r build/soak` begins anew. Results are added to doc/soak.md.
#
# SOAK_SECONDS (default 3600) is the time of each fuzz target and of each flow, SOAK_GB
# (default 20) how much is streamed in the step flood. The steps of faults go on until all
# is done, part by part.
set -euo pipefail
cd "$SAEDB_ROOT"
seconds=${SOAK_SECONDS:-3600}
state=$SAEDB_ROOT/build/soak
results=$SAEDB_ROOT/doc/soak.md
mkdir -p "$state"
touch "$state/done"

say()
{
	printf 'soak: %s\n' "$*"
}

# note STEP TEXT: the step is done, with this result.
note()
{
	[ -e "$results" ] || printf '# Soak results\n\n| date | commit | step | result |\n|---|---|---|---|\n' >"$results"
	printf '| %s | %s | %s | %s |\n' "$(date -u +%F)" \
		"$(git rev-parse --short HEAD 2>/dev/null || echo -)" "$1" "$2" >>"$results"
	echo "$1" >>"$state/done"
	say "$1: $2"
}

# fuzz TARGET: libFuzzer under ASan and UBSan, its corpus kept between soaks.
fuzz()
{
	corpus=$state/corpus/$1
	mkdir -p "$corpus"
	"$SAEDB_ROOT/build/fuzz/tests/fuzz/fuzz_$1" -max_total_time=$seconds \
		-rss_limit_mb=2048 -timeout=20 -print_final_stats=1 \
		-artifact_prefix="$state/$1-" "$corpus" "tests/fuzz/seeds/$1" \
		>"$state/fuzz-$1.log" 2>&1 || {
		tail -n 30 "$state/fuzz-$1.log"
		say "fuzz $1 failed; its input is in $state"
		exit 1
	}
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$state/fuzz-$1.log")
	note "fuzz-$1" "$runs inputs in $seconds s, none failed"
}

# flow NAME: a flow test again and again for so long.
flow()
{
	end=$((SECONDS + seconds))
	n=0
	while [ $SECONDS -lt $end ]; do
		srcdir=$SAEDB_ROOT builddir=$SAEDB_BUILD \
			bash tests/flow/run.sh "tests/flow/$1.sh" >"$state/$1.log" 2>&1 || {
			tail -n 30 "$state/$1.log"
			say "$1 failed in round $((n + 1))"
			exit 1
		}
		n=$((n + 1))
	done
	note "$1" "$n rounds in $seconds s, none failed"
}

# flood: activations through a pipe, more than the memory that is allowed.
flood()
{
	rm -rf "$state/flood"
	mkdir "$state/flood"
	(cd "$state/flood" && srcdir=$SAEDB_ROOT bash "$SAEDB_ROOT/tests/soak/flood.sh" \
		"${SOAK_GB:-20}" 512) >"$state/flood.log" 2>&1 || {
		tail -n 30 "$state/flood.log"
		say "flood failed"
		exit 1
	}
	note flood "$(tail -n 1 "$state/flood.log")"
	rm -rf "$state/flood"
}

# memory: SAEs of three sizes, each in less memory than its weights take.
memory()
{
	for case in "16384 768 1G" "131072 2304 2G" "1048576 512 3G"; do
		rm -rf "$state/memory"
		mkdir "$state/memory"
		# shellcheck disable=SC2086
		(cd "$state/memory" && srcdir=$SAEDB_ROOT \
			bash "$SAEDB_ROOT/tests/soak/memory.sh" $case) \
			>"$state/memory.log" 2>&1 || {
			tail -n 30 "$state/memory.log"
			say "memory $case failed"
			exit 1
		}
		note memory "$(tail -n 1 "$state/memory.log")"
		rm -rf "$state/memory"
	done
}

# parts FLOW N VARIABLE=VALUE...: a flow of faults in N parts, each with a seed of its
# own. The parts that are done are skipped the next time.
parts()
{
	name=$1 n=$2
	shift 2
	make -C "$SAEDB_BUILD" --no-print-directory tests/tools/dump_store \
		tests/faults/disk.la tests/faults/memory.la >"$state/build.log" 2>&1
	part=$(cat "$state/$name.part" 2>/dev/null || echo 0)
	[ "$part" -gt 0 ] || : >"$state/$name.all"
	while [ "$part" -lt "$n" ]; do
		env "$@" FAULTS_SEED="$part" srcdir="$SAEDB_ROOT" builddir="$SAEDB_BUILD" \
			bash tests/flow/run.sh "tests/flow/$name.sh" >"$state/$name.log" 2>&1 || {
			tail -n 30 "$state/$name.log"
			say "$name failed: FAULTS_SEED=$part $*"
			exit 1
		}
		cat "$state/$name.log" >>"$state/$name.all"
		part=$((part + 1))
		echo $part >"$state/$name.part"
	done
	note "$name" "$(tally "$state/$name.all") in $n parts"
}

# tally LOG: "ok 1 - 45 calls that fail: eio" and so on, the numbers of like lines added.
tally()
{
	awk '/^ok [0-9]+ - [0-9]+ / {
		n = $4
		sub(/^ok [0-9]+ - [0-9]+ /, "")
		sub(/( of [0-9]+ calls)?, [0-9]+ of them .*/, "")
		if (!($0 in sum))
			order[++k] = $0
		sum[$0] += n
	}
	END {
		for (i = 1; i <= k; i++)
			printf("%s%d %s", (i > 1 ? "; " : ""), sum[order[i]], order[i])
	}' "$1"
}

targets=$(ls tests/fuzz/fuzz_*.c | sed 's/.*fuzz_\(.*\)\.c/\1/')
flows='T12-kill T30-merge T41-daemon-hostile T42-daemon-publish'
faults='T32-power T33-errors T34-damage T35-memory'
steps="$(for t in $targets; do echo "fuzz-$t"; done) flood memory $flows $faults"
for step in ${1:-$steps}; do
	case " $(echo $steps) " in
	*" $step "*) ;;
	*)
		say "no step '$step'; there are: $(echo $steps)"
		exit 2
		;;
	esac
	if grep -qx "$step" "$state/done"; then
		say "$step: done before"
		continue
	fi
	case $step in
	T3?-*) say "$step" ;;
	*) say "$step: $seconds s" ;;
	esac
	case $step in
	fuzz-*)
		[ -e "$state/built" ] || {
			./dev build fuzz >"$state/build.log" 2>&1
			# shellcheck disable=SC2046
			make -C build/fuzz --no-print-directory -j "$(nproc)" \
				$(for t in $targets; do echo "tests/fuzz/fuzz_$t"; done) \
				>>"$state/build.log" 2>&1
			touch "$state/built"
		}
		fuzz "${step#fuzz-}"
		;;
	flood | memory) $step ;;
	T32-power) parts $step 10 FAULTS_IMAGES=1000 ;;
	T33-errors) parts $step 20 FAULTS_SHARE=20 FAULTS_SIZES=16 ;;
	T34-damage) parts $step 20 FAULTS_CUTS=50 FAULTS_FLIPS=5000 FAULTS_LEFT=50 ;;
	T35-memory) parts $step 100 FAULTS_SHARE=100 ;;
	*) flow "$step" ;;
	esac
done
say "all done; results are in doc/soak.md"
