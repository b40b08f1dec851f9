# SPDX-License-Identifier: ISC
#
# What must be on the machine: packages, libfaiss_c, Python environments.
# Read by ./dev.

clang_format=clang-format-14

packages_build="autoconf automake libtool make gcc g++ libc6-dev dpkg-dev pkg-config
	libsqlite3-dev liblmdb-dev libevent-dev libmsgpack-dev libfaiss-dev
	libopenblas-pthread-dev libjansson-dev libpcre2-dev zlib1g-dev libzstd-dev
	libxxhash-dev libssl-dev libcmocka-dev"
packages_check="clang-format-14 binutils xz-utils python3 python3-venv python3-pynvim"
packages_soak="clang libclang-rt-14-dev"
packages_bench="redis-server redis-tools python3 python3-venv"

say()
{
	printf 'dev: %s\n' "$*"
}

die()
{
	printf 'dev: %s\n' "$*" >&2
	exit 1
}

as_root()
{
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	else
		say "sudo $*"
		sudo DEBIAN_FRONTEND=noninteractive "$@"
	fi
}

# The names among those given that are not installed.
missing_packages()
{
	for p in "$@"; do
		dpkg-query -W -f '${db:Status-Status}\n' "$p" 2>/dev/null |
			grep -qx installed || printf '%s ' "$p"
	done
}

need_packages()
{
	if ! command -v dpkg-query >/dev/null; then
		say "not a Debian: trusting that these are here: $*"
		return
	fi
	missing=$(missing_packages "$@")
	[ -n "$missing" ] || return 0
	if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
		die "as root, run 'apt-get update; apt-get install" \
			"--no-install-recommends $missing', then this again"
	fi
	say "installing: $missing"
	as_root apt-get -q update
	# shellcheck disable=SC2086
	as_root apt-get -q -y --no-install-recommends install $missing
}

# What FAISS is compiled for: SAEDB_FAISS (generic, avx2), or what this CPU has.
faiss_level()
{
	case ${SAEDB_FAISS:-auto} in
	auto)
		if [ "$(uname -m)" = x86_64 ] &&
			grep -qw avx2 /proc/cpuinfo 2>/dev/null; then
			echo avx2
		else
			echo generic
		fi
		;;
	generic | avx2) echo "$SAEDB_FAISS" ;;
	*) die "SAEDB_FAISS is generic or avx2, not $SAEDB_FAISS" ;;
	esac
}

# Debian has the headers of FAISS' C API without its library, and FAISS for SSE2.
need_faiss()
{
	faiss=
	if ! command -v dpkg-query >/dev/null; then
		return
	fi
	faiss=$cache/faiss-$(dpkg-query -W -f '${source:Version}' libfaiss-dev)
	level=$(faiss_level)
	if [ "$level" != generic ]; then
		if [ -e "$faiss-$level-1/libfaiss_c.a" ] ||
			bash dev.d/faiss.sh "$faiss-$level-1" "$level"; then
			faiss=$faiss-$level-1
			return
		fi
		[ -z "${SAEDB_FAISS:-}" ] || die "FAISS cannot be built for $level"
		say "FAISS stays as it is packaged"
	fi
	[ -e "$faiss/libfaiss_c.a" ] || bash dev.d/faiss.sh "$faiss"
}

setup_build()
{
	# shellcheck disable=SC2086
	need_packages $packages_build
	need_faiss
}

setup_check()
{
	# shellcheck disable=SC2086
	need_packages $packages_check
}

setup_soak()
{
	setup_check
	# shellcheck disable=SC2086
	need_packages $packages_soak
}

setup_bench()
{
	# shellcheck disable=SC2086
	need_packages $packages_bench
	need_venv tests/reference/requirements.txt
	export SAEDB_PYTHON=$python
	case ${1:-all} in encode | size | all)
		need_peer eai-delphi==0.1.3
		export SAEDB_DELPHI=$peer
		;;
	esac
	case ${1:-all} in size | all)
		need_venv bench/requirements-dashboard.txt
		need_peer sae-dashboard==0.8.0
		export SAEDB_DASHBOARD=$peer SAEDB_DASHBOARD_PYTHON=$python
		;;
	esac
}

# need_peer PACKAGE==VERSION: it alone, in a directory of its own: what it depends on
# for other ends takes gigabytes. Sets peer.
need_peer()
{
	peer=$cache/peer-$1
	[ ! -e "$peer" ] || return 0
	say "fetching $1"
	rm -rf "$peer.new"
	"$python" -m pip install --disable-pip-version-check -q --no-deps \
		--target "$peer.new" "$1" && mv "$peer.new" "$peer"
}

# need_venv REQUIREMENTS: an environment with just that, in the cache, named
# by what it holds. Sets python; fails when it cannot be made.
need_venv()
{
	need_packages python3 python3-venv
	base=/usr/bin/python3
	[ -x $base ] || base=python3
	sum=$({ $base --version; cat "$1"; } | sha256sum | cut -c1-12)
	venv=$cache/venv-$sum
	python=$venv/bin/python
	[ ! -e "$venv/complete" ] || return 0
	say "making a Python environment from $1"
	rm -rf "$venv"
	$base -m venv "$venv" &&
		"$python" -m pip install --disable-pip-version-check -q -r "$1" &&
		touch "$venv/complete"
}

lint_files()
{
	bash tests/lint/files.sh .
}
