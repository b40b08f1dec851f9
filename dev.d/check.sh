# SPDX-License-Identifier: ISC
#
# Every test, ring by ring, and one line of counts. Read by ./dev.

# ring NAME COMMAND...: runs it with its output in build/check/NAME.log, which
# is shown when it fails, and leaves its results in build/check/NAME.
ring()
{
	name=$1
	shift
	out=$build/check/$name
	say "check: $name"
	start=$SECONDS
	rc=0
	("$@") >"$out.log" 2>&1 </dev/null || rc=$?
	"collect_${collect:-log}" "$name" "$rc" >"$out"
	say "check: $name: $(grep -c '^pass' "$out" || true) passed," \
		"$(grep -c '^fail' "$out" || true) failed, $((SECONDS - start)) s"
	! grep -q '^fail' "$out" || show_failed "$name"
}

collect_log()
{
	tests/run log "$1" "$1" "$build/check/$1.log" "$2"
}

# What `make check` of the build of that name left; that it ran through is one
# more test.
collect_trs()
{
	tests/run trs "$1" "$build/$1"
	if [ "$2" -ne 0 ] && ! grep -rqs '^:test-result: *\(FAIL\|ERROR\)' \
		--include='*.trs' "$build/$1"; then
		echo "fail $1 make check"
	fi
}

show_failed()
{
	grep -v '^ok' "$build/check/$1.log" | tail -n 100 | sed "s/^/$1: /" || true
	[ -d "$build/$1" ] || return 0
	grep -rls '^:test-result: *\(FAIL\|ERROR\)' --include='*.trs' "$build/$1" |
		while IFS= read -r trs; do
			echo "$1: ==== ${trs#"$build/"}"
			tail -n 60 "${trs%.trs}.log" | sed "s/^/$1: /"
		done || true
}

# make check in build/KIND, all its tests or those named.
make_check()
{
	kind=$1
	shift
	find "$build/$kind" -name '*.trs' -exec rm -f {} + 2>/dev/null || true
	build_flavour "$kind"
	export SAEDB_SANITIZER=${sanitizer:-}
	make -C "$build/$kind" --no-print-directory -j "$jobs" -k check \
		${1:+"TESTS=$*"}
}

make_check_asan()
{
	sanitizer=asan
	export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0
	export UBSAN_OPTIONS=print_stacktrace=1
	make_check asan
}

# Those tests in which threads meet.
make_check_tsan()
{
	sanitizer=tsan
	export TSAN_OPTIONS="suppressions=$root/tests/tsan.supp second_deadlock_stack=1"
	export OMP_NUM_THREADS=1
	# shellcheck disable=SC2046
	make_check tsan $(threaded_tests)
}

threaded_tests()
{
	grep -lsE 'pthread|thread|pool_|saedbd' tests/*/test_*.c tests/flow/T*.sh |
		xargs -r grep -L 'no-tsan' | sed 's/\.c$//' |
		while IFS= read -r t; do
			! grep -qwF "$t" "tests/$(basename "$(dirname "$t")")/Makefile.inc" ||
				echo "$t"
		done
}

distcheck()
{
	build_flavour release distcheck
}

python_tests()
{
	dirs=$(find tests/python client/python/tests -name 'test_*.py' 2>/dev/null || true)
	if [ -z "$dirs" ]; then
		echo "# skip: there are no Python tests"
		return 77
	fi
	if ! need_venv tests/python/requirements.txt; then
		echo "# skip: no Python environment could be made"
		return 77
	fi
	export SAEDB_ROOT=$root SAEDB_BUILD=$build/release
	export PATH=$build/release:$PATH PYTHONPATH=$root/client/python
	export PYTHONDONTWRITEBYTECODE=1
	# shellcheck disable=SC2086
	"$python" -m pytest -q -rA --tb=short -p no:cacheprovider $dirs
}

check()
{
	quick=no
	case ${1:-} in
	--quick) quick=yes ;;
	'') ;;
	*) die "check takes --quick or nothing" ;;
	esac
	setup_check
	setup_build
	rm -rf "$build/check"
	mkdir -p "$build/check"
	ring build build_flavour release
	if grep -q '^fail' "$build/check/build"; then
		finish check build
		return 1
	fi
	rings="build lint release python"
	ring lint bash tests/lint/run.sh
	collect=trs ring release make_check release
	ring python python_tests
	if [ $quick = no ]; then
		rings="$rings asan tsan distcheck"
		collect=trs ring asan make_check_asan
		if [ -n "$(threaded_tests)" ]; then
			collect=trs ring tsan make_check_tsan
		else
			echo "skip tsan all: no test has threads" >"$build/check/tsan"
		fi
		ring distcheck distcheck
	fi
	# shellcheck disable=SC2086
	finish check $rings
}

# finish VERB RING...: the counts, and a copy of the results for .ci/run.
finish()
{
	verb=$1
	shift
	mkdir -p "$build/results"
	for r in "$@"; do
		cat "$build/check/$r"
	done >"$build/results/$verb"
	tests/run sum "$build/results/$verb"
}

# Each script says what it found, and fails where it differs.
compare_references()
{
	make -C "$build/release" --no-print-directory tests/tools/list_releases \
		tests/tools/list_models tests/tools/umap_layout tests/tools/make_store \
		tests/tools/dump_store tests/model/tok_dump >&2
	"$build/release/tests/tools/list_releases" |
		"$python" tests/reference/releases.py || return
	"$python" tests/reference/models.py "$build/release/tests/tools/list_models" ||
		return
	"$python" tests/reference/test_umap.py "$build/release/tests/tools/umap_layout" \
		demo/sae || return
	"$python" tests/reference/reference.py "$@" || return
	[ $# -eq 0 ] || return 0
	store=$build/release/reference-store # of the demo
	"$python" tests/reference/cooccurrence.py --store "$store" || return
	"$python" tests/reference/kin.py "$store" || return
	"$python" tests/reference/families.py --store "$store" || return
	"$python" tests/reference/concepts.py "$build/release/saedbd" "$store"
}

reference()
{
	mkdir -p "$build/check" "$build/results"
	rm -f "$build/results/reference"
	out=$build/check/reference
	if [ ! -e tests/reference/reference.py ]; then
		echo "skip reference all: tests/reference/reference.py is not there" >"$out"
		cp "$out" "$build/results/reference"
		tests/run sum "$out" || true
		return 0
	fi
	build_flavour release
	need_venv tests/reference/requirements.txt ||
		die "no Python environment could be made from tests/reference"
	export SAEDB_ROOT=$root SAEDB_BUILD=$build/release
	export PATH=$build/release:$PATH PYTHONPATH=$root/client/python
	export PYTHONDONTWRITEBYTECODE=1
	rc=0
	compare_references "$@" 2>&1 </dev/null | tee "$out.log" || rc=$?
	tests/run log reference reference.py "$out.log" "$rc" >"$out"
	rc=0
	"$python" -m pytest -q -rA --tb=short -p no:cacheprovider client/python/tests \
		>"$out.client.log" 2>&1 </dev/null || rc=$?
	tests/run log reference client/python "$out.client.log" "$rc" >>"$out"
	[ "$rc" -eq 0 ] || tail -n 100 "$out.client.log"
	finish reference reference
}
