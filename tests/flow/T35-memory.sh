# SPDX-License-Identifier: ISC
# Allocations that fail, ours and those of libraries. no-tsan: it preloads. FAULTS_SHARE:
# every so-manyeth; FAULTS_SEED: beginning elsewhere.
set -eu
. "$srcdir/tests/faults/lib.sh"
needs_preload
faults memory "${FAULTS_SHARE:-3001}"
