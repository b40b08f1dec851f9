#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Builds libfaiss_c.a from the distribution's own source package, at the
# version of libfaiss-dev that is installed, into DIR. The system's list of
# sources stays as it is: deb-src is enabled in a copy of it.
#
# The distribution's libfaiss.a is compiled for SSE2 alone. With avx2, a copy of
# it goes to DIR too, in which the files that have code for AVX2, and those that
# see their types, are compiled for it. Where the CPU lacks AVX2, saedb does not
# call FAISS. DIR/level says which it is.
#
# usage: faiss.sh DIR [generic|avx2]
set -eu
dir=$1
level=${2:-generic}
version=$(dpkg-query -W -f '${source:Version}' libfaiss-dev)
source=$(dpkg-query -W -f '${source:Package}' libfaiss-dev)
tmp=$(mktemp -d "${TMPDIR:-/tmp}/saedb-faiss.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/parts" "$tmp/lists/partial" "$tmp/cache/archives/partial" "$tmp/obj"

n=0
for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
	[ -f "$f" ] || continue
	n=$((n + 1))
	sed -n 's/^[[:space:]]*deb[[:space:]]/deb-src /p' "$f" >"$tmp/parts/$n.list"
done
for f in /etc/apt/sources.list.d/*.sources; do
	[ -f "$f" ] || continue
	n=$((n + 1))
	sed 's/^Types:.*/Types: deb-src/' "$f" >"$tmp/parts/$n.sources"
done

apt="-q -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts=$tmp/parts
	-o Dir::State::lists=$tmp/lists -o Dir::Cache=$tmp/cache
	-o APT::Sandbox::User= -o Acquire::Languages=none"
echo "faiss: fetching the source package $source $version"
# A third party's source may have no deb-src; what counts is what comes next.
# shellcheck disable=SC2086
apt-get $apt update >"$tmp/log" 2>&1 || true
cd "$tmp"
# shellcheck disable=SC2086
if ! apt-get $apt source --download-only "$source=$version" >>"$tmp/log" 2>&1; then
	cat "$tmp/log" >&2
	echo "faiss: no source package $source $version" >&2
	exit 1
fi
dpkg-source --no-check -x ./*.dsc "$tmp/src" >>"$tmp/log" 2>&1 || {
	cat "$tmp/log" >&2
	exit 1
}

echo "faiss: building libfaiss_c.a"
cd "$tmp/obj"
for f in ../src/c_api/*.cpp ../src/c_api/impl/*.cpp ../src/c_api/utils/*.cpp; do
	echo "$f"
done | xargs -P "$(nproc)" -I{} sh -c \
	'g++ -std=c++17 -O2 -fPIC -fopenmp -w -I../src -I../src/c_api \
		-c {} -o "$(basename {} .cpp).o"'
ar rcs "$tmp/libfaiss_c.a" ./*.o

put()
{
	cp "$1" "$dir/${1##*/}.new"
	mv "$dir/${1##*/}.new" "$dir/${1##*/}"
}

mkdir -p "$dir"
if [ "$level" = avx2 ]; then
	# by their includes: simdlib.h's types differ with the level
	knows='__AVX2__|__F16C__|utils/fp16.h|simdlib.h|simd_result_handlers.h'
	hot=$(cd "$tmp/src/faiss" &&
		grep -lE "$knows|LookupTableScaler.h" ./*.cpp impl/*.cpp utils/*.cpp)
	echo "faiss: compiling for AVX2: $(echo "$hot" | wc -l) files"
	mkdir -p "$tmp/hot"
	cd "$tmp/hot"
	for f in $hot; do
		echo "../src/faiss/$f"
	done | xargs -P "$(nproc)" -I{} sh -c \
		'g++ -std=c++17 -O2 -fPIC -fopenmp -w -DFINTEGER=int \
			-mavx2 -mfma -mf16c -mpopcnt -I../src \
			-c {} -o "$(basename {}).o"'
	cp "$(g++ -print-file-name=libfaiss.a)" "$tmp/libfaiss.a"
	for f in ./*.o; do
		ar t "$tmp/libfaiss.a" | grep -qx "${f#./}" || {
			echo "faiss: libfaiss.a has no ${f#./}" >&2
			exit 1
		}
	done
	# not before main, where the CPU may lack AVX2: store/ann.c calls them
	for f in ./*.o; do
		objcopy --rename-section .init_array=faiss_ctors "$f"
	done
	ar rs "$tmp/libfaiss.a" ./*.o
	put "$tmp/libfaiss.a"
fi
echo "$level" >"$tmp/level"
put "$tmp/level"
put "$tmp/libfaiss_c.a"
echo "faiss: $dir/libfaiss_c.a ($level)"
