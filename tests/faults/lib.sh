# SPDX-License-Identifier: ISC
# For the flows of faults: sourced, not run. Makes ./tiny.
: "${PYTHON:=/usr/bin/python3}"
command -v "$PYTHON" >/dev/null || PYTHON=python3
if ! command -v "$PYTHON" >/dev/null; then
	echo "# skip: there is no python3"
	exit 77
fi
PYTHONDONTWRITEBYTECODE=1
export PYTHONDONTWRITEBYTECODE

sanitized()
{
	grep -q '__[at]san_init' "$builddir/saedb-index"
}

# Nothing may be loaded before a sanitizer's own library.
needs_preload()
{
	if sanitized; then
		echo "# skip: built with a sanitizer"
		exit 77
	fi
}

faults()
{
	local name=$1
	shift
	"$PYTHON" "$srcdir/tests/faults/$name.py" "$@"
}

"$PYTHON" "$srcdir/tests/indexer/make_tiny.py" tiny
