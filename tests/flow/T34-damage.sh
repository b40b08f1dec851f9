# SPDX-License-Identifier: ISC
# Stores with a file cut short, missing, or with a bit flipped: an error that names the
# file, or the same answers; what an interrupted command left, damaged: the same command
# makes the same store. no-tsan: nothing here has threads that T40 lacks.
# FAULTS_CUTS, FAULTS_FLIPS, FAULTS_LEFT: so many.
set -eu
. "$srcdir/tests/faults/lib.sh"
faults damage cut "${FAULTS_CUTS:-50}"
faults damage flip "${FAULTS_FLIPS:-500}"
if sanitized; then
	echo "# without what is preloaded: built with a sanitizer"
else
	faults damage resume "${FAULTS_LEFT:-20}"
fi
