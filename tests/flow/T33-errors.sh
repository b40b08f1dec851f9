# SPDX-License-Identifier: ISC
# Errors of the disk, a full one, and syncs that lose what they were to write, at every
# call that saedb-index makes. no-tsan: it preloads. FAULTS_SHARE: every so-manyeth call;
# FAULTS_SEED: beginning elsewhere.
set -eu
. "$srcdir/tests/faults/lib.sh"
needs_preload
faults errors "${FAULTS_SHARE:-47}"
faults full "${FAULTS_SIZES:-6}"
