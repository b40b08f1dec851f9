# SPDX-License-Identifier: ISC
# Power loss while saedb-index writes: what was acknowledged is there, the rest is as it
# was, and the same command goes on. Without syncs the test fails. no-tsan: it preloads.
# FAULTS_IMAGES: so many.
set -eu
. "$srcdir/tests/faults/lib.sh"
needs_preload
faults power "${FAULTS_IMAGES:-300}"
