# SPDX-License-Identifier: ISC
# An SAE that SAELens trained on a real Llama, over text of the kind that both were
# trained on: what saedb finds is what SAELens measured (train_stories_sae.py).
set -eu
: "${PYTHON:=/usr/bin/python3}"
command -v "$PYTHON" >/dev/null || PYTHON=python3
data=${SAEDB_SHARED_DATA:-$srcdir/../shared/data}
sae=$srcdir/tests/model/data/sae-stories
if ! command -v "$PYTHON" >/dev/null; then
	echo "# skip: there is no python3"
	exit 77
fi
for f in stories260k/stories260K.bin stories260k/tok512.model \
	corpora/tinystories-1000.jsonl; do
	if ! [ -r "$data/$f" ]; then
		echo "# skip: there is no $data/$f"
		exit 77
	fi
done

fail()
{
	echo "not ok - $*"
	[ ! -s out ] || sed 's/^/# /' out
	exit 1
}

"$PYTHON" "$srcdir/tests/model/stories_to_hf.py" convert \
	"$data/stories260k/stories260K.bin" model
cp "$data/stories260k/tok512.model" model/tokenizer.model
head -n 100 "$data/corpora/tinystories-1000.jsonl" >held.jsonl

saedb-index diagnose --model model --sae "$sae" --corpus held.jsonl >out 2>&1 ||
	fail "diagnose"
grep -q 'its own rules fit best' out || fail "another rule fits better"
echo "ok 1 - its own rules fit best"

saedb-index --quiet --store s --model model --sae stories="$sae" --corpus held.jsonl \
	>out 2>&1 || fail "index"
saedb-index verify s >out 2>&1 || fail "verify"
grep -q '64 features of stories, [1-9][0-9]* activations: equal' out || fail "verify"
echo "ok 2 - indexed and verified"

saedb --store s --json run 1 >run
saedb --store s --json features stories --all >features
saedb --store s --json examples stories/10 >examples
"$PYTHON" - "$sae/measured.json" >out <<'PY' || fail "not what SAELens measured"
import json
import sys

want = json.load(open(sys.argv[1]))
run = json.load(open("run"))["saes"][0]
features = json.load(open("features"))["features"]
examples = json.load(open("examples"))["examples"]


def near(what, got, wanted, by):
    """by: a token or two at a threshold may fall on the other side."""
    if abs(got - wanted) > by:
        sys.exit(f"{what} is {got}, SAELens has {wanted}")


near("n_tokens", run["n_tokens"], want["n_tokens"], 0)
near("L0", run["l0"], want["l0"], 1e-3)
near("the explained variance", run["explained"], want["explained_variance"], 1e-5)
near("n_alive", run["n_alive"], want["n_alive"], 0)
near("the number of features", len(features), len(want["count"]), 0)
for f, count, most in zip(features, want["count"], want["max"]):
    near("count of " + f["feature"], f["count"], count, 2)
    near("maximum of " + f["feature"], f.get("max", 0), most, 1e-4 * (1 + most))
near("the best example of 10", max(v for x in examples for v in x["values"]),
     want["max"][10], 1e-4 * (1 + want["max"][10]))
PY
echo "ok 3 - what SAELens measured"
echo "1..3"
