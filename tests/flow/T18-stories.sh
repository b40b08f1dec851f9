# SPDX-License-Identifier: ISC
# A real trained Llama says what it is known to say.
set -eu
: "${PYTHON:=/usr/bin/python3}"
command -v "$PYTHON" >/dev/null || PYTHON=python3
data=${SAEDB_SHARED_DATA:-$srcdir/../shared/data}/stories260k
if ! command -v "$PYTHON" >/dev/null; then
	echo "# skip: there is no python3"
	exit 77
fi
if ! [ -r "$data/stories260K.bin" ]; then
	echo "# skip: there is no $data/stories260K.bin"
	exit 77
fi
script=$srcdir/tests/model/stories_to_hf.py
"$PYTHON" "$script" convert "$data/stories260K.bin" model
"$builddir/tests/tools/greedy" model 150 1 >ids
"$PYTHON" "$script" text "$data/tok512.bin" <ids >text
cat >want <<'TEXT'
Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball. She wanted to play with it, but it was too high.
Lily's mom said, "Lily, let's go to the park." Lily was sad and didn't know what to do. She said, "I want to play with your ball, but I can't find it."
TEXT
if ! head -c "$(($(wc -c <want) - 1))" text | cmp - want -n "$(($(wc -c <want) - 1))"; then
	sed 's/^/# /' text
	echo "not ok - another text"
	exit 1
fi
echo "ok - stories260K"
echo "1..1"
