# SPDX-License-Identifier: ISC
# Stores with a file cut short, missing, or with a bit flipped: an error that names the
# file, or the same answers. no-tsan: nothing here has threads that T40 lacks.
# FAULTS_CUTS, FAULTS_FLIPS: so many.
set -eu
. "$srcdir/tests/faults/lib.sh"
faults damage cut "${FAULTS_CUTS:-50}"
faults damage flip "${FAULTS_FLIPS:-500}"
