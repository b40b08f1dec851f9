# SPDX-License-Identifier: ISC
#
# Building into build/KIND. Read by ./dev.

flavour_flags()
{
	case $1 in
	release) echo --enable-werror ;;
	asan) echo --enable-werror --enable-sanitizers=address,undefined ;;
	tsan) echo --enable-werror --enable-sanitizers=thread ;;
	coverage) echo --enable-werror --enable-coverage ;;
	fuzz) echo CC=clang --enable-fuzzer --enable-sanitizers=address,undefined ;;
	*) die "no such build: $1" ;;
	esac
}

# configure and what goes with it, made anew when what they are made of is
# newer.
need_configure()
{
	if [ configure -nt configure.ac ] && [ Makefile.in -nt Makefile.am ] &&
		[ -z "$(find . \( -path ./build -o -path ./.git \) -prune -o \
			\( -name Makefile.inc -o -name '*.m4' ! -name aclocal.m4 \) \
			-newer Makefile.in -print | grep -v '^./m4/l[t]')" ]; then
		return 0
	fi
	say "autoreconf"
	autoreconf -fi >"$build/autoreconf.log" 2>&1 || {
		cat "$build/autoreconf.log" >&2
		die "autoreconf failed"
	}
}

# build_flavour KIND [TARGET...]
build_flavour()
{
	kind=$1
	shift
	setup_build
	mkdir -p "$build/$kind"
	flags="$(flavour_flags "$kind")${faiss:+ --with-faiss=$faiss}"
	exec 9>"$build/.lock"
	flock 9
	need_configure
	exec 9>&-
	if [ ! -e "$build/$kind/config.status" ] ||
		[ "$(cat "$build/$kind/flags" 2>/dev/null)" != "$flags" ]; then
		say "configure: build/$kind"
		# shellcheck disable=SC2086
		(cd "$build/$kind" && ../../configure -q $flags >configure.log 2>&1) || {
			cat "$build/$kind/configure.log" >&2
			die "configure failed: build/$kind"
		}
		sed -n '/^saedb /,$p' "$build/$kind/configure.log"
		echo "$flags" >"$build/$kind/flags"
	fi
	say "make: build/$kind"
	make -C "$build/$kind" --no-print-directory -j "$jobs" "${@:-all}"
}
