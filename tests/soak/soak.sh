# SPDX-License-Identifier: ISC
#
# ./dev soak [STEP]: the tests that take hours. Each step that is done is noted in
# build/soak/done and skipped the next time, so a stopped soak goes on where it was;
# `rm -r build/soak` begins anew. Results are added to doc/soak.md.
#
# SOAK_SECONDS (default 3600) is the time of each fuzz target and of each flow, SOAK_GB
# (default 20) how much is streamed in the step flood.
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

targets=$(ls tests/fuzz/fuzz_*.c | sed 's/.*fuzz_\(.*\)\.c/\1/')
flows='T12-kill T30-merge T41-daemon-hostile T42-daemon-publish'
steps="$(for t in $targets; do echo "fuzz-$t"; done) flood $flows"
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
	say "$step: $seconds s"
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
	flood) flood ;;
	*) flow "$step" ;;
	esac
done
say "all done; results are in doc/soak.md"
