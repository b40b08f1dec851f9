# SPDX-License-Identifier: ISC
#
# What ./dev demo shows: a feature, a document and a token of the demo's store.
bridge=8k/7443
document=d00529
token=' Golden'
