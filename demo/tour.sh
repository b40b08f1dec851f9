# SPDX-License-Identifier: ISC
#
# What ./dev demo shows: a feature, a document and a token of the demo's store.
bridge=8k/2445
document=d00374
token=' Golden'
