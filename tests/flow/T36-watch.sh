# SPDX-License-Identifier: ISC
# What an index says of itself: --report against what the store answers and what lies on
# the disk, and `plan`, which tells what it would take and leaves nothing behind. no-tsan:
# it takes minutes there, and tests no threads of its own.
set -eu
. "$srcdir/tests/indexer/lib.sh"
saes="--sae tiny/sae/plain --sae tiny/sae/jump"
export TMPDIR=$PWD/scratch
mkdir -p scratch

# json FILE EXPRESSION: what it is, with the report as r.
json()
{
	"$PYTHON" -c 'import json, sys
r = json.load(open(sys.argv[1]))
print(eval(sys.argv[2]))' "$1" "$2"
}

# holds FILE EXPRESSION TEXT: it is true of the report.
holds()
{
	[ "$(json "$1" "$2")" = True ] || fail "$1: $3"
}

# shellcheck disable=SC2086
index s $saes --corpus tiny/a.jsonl --report r.json --threads 2 || fail "index"
[ -z "$(ls ./*.part 2>/dev/null)" ] || fail "a part is left"
saedb --store s --json run 1 >run.json || fail "saedb run"
cat >compare.py <<'_EOF'
import glob, json, os
r = json.load(open("r.json"))
asked = json.load(open("run.json"))
assert (r["command"], r["format"]) == ("index", 1), r["command"]
assert r["machine"]["threads"] == 2 and r["machine"]["cpus"] >= 1
assert r["machine"]["cpu_path"] in ("portable", "avx2", "avx512")
assert 0 < r["memory"]["peak_bytes"] < r["memory"]["limit_bytes"]
run = r["runs"][0]
assert not run["was_there"] and run["run"] == 1 and run["resumed_from_token"] == 0
assert run["id"] == asked["id"], (run["id"], asked["id"])
assert run["tokens_per_s"] > 0 and run["pass_s"] > 0
by_name = {s["sae"]: s for s in asked["saes"]}
assert set(by_name) == {s["sae"] for s in run["saes"]} == {"plain", "jump"}
for sae in run["saes"]:
    other = by_name[sae["sae"]]
    for key in ("n_tokens", "n_active", "n_alive", "l0", "explained", "mse"):
        assert abs(sae[key] - other[key]) <= 1e-9 * abs(other[key]), (key, sae, other)
for key in ("n_tokens", "n_windows", "n_documents", "provenance"):
    assert run[key] == asked[key], (key, run[key], asked[key])

# every file of the store that an object owns, with its size
have = sorted((os.path.basename(p), os.path.getsize(p))
              for kind in ("cut", "run", "sae", "graph")
              for p in glob.glob(f"s/{kind}/**", recursive=True) if os.path.isfile(p))
told = sorted((d["file"], d["bytes"]) for d in run["disk"])
assert have == told, (have, told)
for d in run["disk"]:
    if d["file"] == "acts.mdb":
        assert abs(d["bytes_per_token"] - d["bytes"] / run["n_tokens"]) < 1e-6

stages = r["stages"]
for name in ("open", "read", "tokenize", "cut", "logits", "neighbors", "forward",
             "encode", "count", "write", "features", "publish"):
    assert stages[name]["busy_s"] > 0, name
    assert stages[name]["cpu_s"] <= stages[name]["busy_s"] * 1.05 + 0.005, name
wall = sum(s["wall_s"] for s in stages.values())
# the sum of the stages is what it took, but for what lies between two clocks
assert 0.8 * r["seconds"] - 0.05 < wall <= 1.01 * r["seconds"] + 0.05, (wall, r["seconds"])
assert sum(s["share"] for s in stages.values()) <= 1.01
_EOF
"$PYTHON" compare.py >out 2>&1 || fail "the report says something else"
ok "the report agrees with saedb, the disk and the clock"

# shellcheck disable=SC2086
index s $saes --corpus tiny/a.jsonl --report r.json || fail "again"
holds r.json 'r["runs"][0]["was_there"] and "saes" not in r["runs"][0]' "it was there"
# shellcheck disable=SC2086
saedb-index --quiet --store dash --model tiny/model $saes --corpus tiny/a.jsonl \
	--report - >dash.json 2>out || fail "--report -"
holds dash.json 'r["runs"][0]["run"] == 1' "the run"
grep -q '^run 1: ' out || fail "what people read is not on standard error"
# shellcheck disable=SC2086
saedb-index --store loud --model tiny/model $saes --corpus tiny/a.jsonl >out 2>/dev/null ||
	fail "index"
grep -q '^  forward .*%' out || fail "no table of stages"
grep -q '^  all .*100.0%' out || fail "the table has no end"
ok "once more, on standard output, and for people"

# the same store with both contexts: two runs in one report
index two --sae tiny/sae/plain --sae tiny/sae/short --corpus tiny/a.jsonl \
	--report r.json || fail "two contexts"
holds r.json '[x["run"] for x in r["runs"]] == [1, 2]' "two runs"
ok "two runs"

# before any work: no store, no leftovers
for bad in nowhere/r.json scratch; do
	# shellcheck disable=SC2086
	refuses 1 "--report: $bad" --quiet --store no --model tiny/model $saes \
		--corpus tiny/a.jsonl --report "$bad"
	[ ! -e no ] || fail "$bad: a store is made"
done
echo old >r.json
# shellcheck disable=SC2086
! index no $saes --corpus nothing.jsonl --report r.json || fail "no corpus"
[ "$(cat r.json)" = old ] || fail "a failed index changes the report"
[ -z "$(ls ./*.part 2>/dev/null)" ] || fail "a part is left"
rm -rf no
ok "a report that cannot be written"

# killed at a checkpoint
for i in 1 2 3; do
	sed "s/\"id\": \"doc/\"id\": \"copy$i/" tiny/a.jsonl
done >big.jsonl
# shellcheck disable=SC2086
SAEDB_CHECKPOINT_MS=1 saedb-index --quiet --store k --model tiny/model $saes \
	--corpus big.jsonl --batch-tokens 24 >out 2>&1 &
pid=$!
until ls k/tmp/run-*.checkpoint >/dev/null 2>&1; do
	kill -0 $pid 2>/dev/null || fail "it ended"
	sleep 0.01
done
kill -9 $pid
wait $pid 2>/dev/null || :
# shellcheck disable=SC2086
SAEDB_CHECKPOINT_MS=1 index k $saes --corpus big.jsonl --report r.json || fail "resume"
at=$(sed -n 's/^resuming run [0-9a-f]* at \([0-9]*\) of .*/\1/p' out)
holds r.json "r['runs'][0]['resumed_from_token'] == ${at:-0} > 0" "where it goes on"
holds r.json 'r["runs"][0]["checkpoints"]["n"] > 0' "checkpoints"
ok "a run that was resumed"

# plan STORE OPTION...
plan()
{
	local store=$1
	shift
	# shellcheck disable=SC2086
	saedb-index plan --store "$store" --model tiny/model $saes "$@" >out 2>&1
}
index many --sae tiny/sae/plain --sae tiny/sae/jump --corpus big.jsonl \
	--report many.json || fail "index"
find many -type f -exec sha256sum {} + | sort >before
plan none --corpus big.jsonl --report p.json || fail "plan"
! grep -q -- ' -[0-9]' out || fail "something takes less than nothing"
plan many --corpus big.jsonl || fail "plan for a store that is there"
find many -type f -exec sha256sum {} + | sort | cmp - before || fail "plan writes to the store"
[ ! -e none ] || fail "plan makes a store"
[ -z "$(ls scratch)" ] || fail "plan leaves $(ls scratch)"
grep -q '^memory: at least' out || fail "plan does not tell the memory"
cat >compare.py <<'_EOF'
import json
p, r = json.load(open("p.json")), json.load(open("many.json"))
run = r["runs"][0]
assert p["command"] == "plan" and p["fits"] and p["all_text_was_read"]
assert p["n_tokens"] == run["n_tokens"], (p["n_tokens"], run["n_tokens"])
assert p["n_documents"] == run["n_documents"]
assert p["memory"]["least_bytes"] <= p["memory"]["limit_bytes"]
files = {}
for d in run["disk"]:
    files[d["file"]] = files.get(d["file"], 0) + d["bytes"]
# small files round up to pages; the large ones are what is asked for
for name, n_bytes in files.items():
    told = p["disk"]["files"][name]
    assert abs(told - n_bytes) < 0.25 * n_bytes + 65536, (name, told, n_bytes)
for name in ("forward", "encode", "count", "features", "cut"):
    a, b = p["stages"][name]["cpu_s"], r["stages"][name]["cpu_s"]
    assert b / 4 - 0.05 < a < b * 4 + 0.05, (name, a, b)
_EOF
"$PYTHON" compare.py >out 2>&1 || fail "the plan is far off"
plan none --corpus tiny/a.jsonl --corpus big.jsonl --joined --report p.json || fail "joined"
plan none --corpus big.jsonl --max-tokens 3000 --report p.json || fail "--max-tokens"
holds p.json 'r["n_tokens"] == 3000' "it goes past --max-tokens"
ok "plan"

: >empty.jsonl
bad_plan()
{
	local status=$1 text=$2 rc=0
	shift 2
	plan none "$@" --report p.json || rc=$?
	[ $rc = "$status" ] || fail "plan $* ends with $rc"
	grep -q -- "$text" out || fail "plan $* does not say '$text'"
	[ ! -e none ] || fail "plan $* makes a store"
	[ -z "$(ls scratch)" ] || fail "plan $* leaves $(ls scratch)"
}
rm -f p.json
bad_plan 1 'the corpus is empty' --corpus empty.jsonl
bad_plan 1 'nothing.jsonl' --corpus nothing.jsonl
bad_plan 1 'standard input cannot be read twice' --corpus -
bad_plan 1 'only text can be planned for' --activations tiny
bad_plan 1 'the model has layers 0 to 1' --corpus tiny/a.jsonl --hook blocks.77.hook_resid_pre
bad_plan 2 'no option of plan' --corpus tiny/a.jsonl --sample 4
[ ! -e p.json ] || fail "a plan that failed writes a report"
bad_plan 1 'does not fit: it takes at least [1-9]' --corpus tiny/a.jsonl --memory 61M
holds p.json 'not r["fits"] and r["memory"]["least_bytes"] > 2**20' "it fits"
ok "plans that cannot be made"
done_testing
