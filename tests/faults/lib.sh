# SPDX-License-Identifier: ISC
# For the flows of faults: sourced, not run. Makes ./tiny.
. "$srcdir/tests/indexer/lib.sh"

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
