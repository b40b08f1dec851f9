# SPDX-License-Identifier: ISC
# The map around a feature: which features, told from their rows; the same twice; as
# a picture, rows and JSON; what labels may hold; what is refused.
set -eu
. "$srcdir/tests/indexer/lib.sh"
index store --sae J=tiny/sae/jump --sae T=tiny/sae/topk --corpus tiny/a.jsonl ||
	fail "index"
index none --neighbors none --sae J=tiny/sae/jump --corpus tiny/a.jsonl ||
	fail "index --neighbors none"
mkdir tmp
export TMPDIR=$PWD/tmp SAEDB_STORE=store XDG_RUNTIME_DIR=/nowhere

[[ "$(saedb map J/3 -o map.json)" =~ ^map.json:\ [0-9]+\ features$ ]] || fail "map -o map.json"
saedb map J/3 --points 20 -o few.json || fail "map --points"
"$PYTHON" - <<'_EOF' || fail "the map is not of its neighbors"
import glob, json, math, struct, subprocess
def rows(hash_, sae):
    name = glob.glob(f"store/sae/{hash_}*/decoder.f32")[0]
    rows = struct.iter_unpack("<32f", open(name, "rb").read())
    return {f"{sae}/{i}": r for i, r in enumerate(rows)}
saes = subprocess.run(["saedb", "--json", "saes"], capture_output=True, check=True).stdout
row = {}
for x in json.loads(saes)["saes"]:
    row.update(rows(x["hash"][:16], x["name"]))
def cosine(a, b):
    a, b = row[a], row[b]
    dot = sum(x * y for x, y in zip(a, b))
    return dot / math.sqrt(sum(x * x for x in a) * sum(x * x for x in b))
def near(f, sae):
    done = subprocess.run(["saedb", "--json", "neighbors", f, "-k", "32", "--sae", sae],
                          capture_output=True, check=True)
    return {x["feature"]: x for x in json.loads(done.stdout)["neighbors"]}
def ring(features):
    out = {}
    for f in features:
        for sae in "J", "T":
            out.update(near(f, sae))
    return out
first = ring(["J/3"])
all_ = {**first, **ring(first)}
all_.pop("J/3", None)
assert len(all_) > len(first)
want = sorted((f for f in all_ if all_[f]["density"] > 0), key=lambda f: -cosine("J/3", f))
m = json.load(open("map.json"))
got = [p["feature"] for p in m["points"]]
assert got[0] == "J/3" == m["feature"] and got[1:] == want[:len(got) - 1], (got, want)
assert len(want) > 99 and len(got) == 100
for p in m["points"]:
    assert abs(p["cosine"] - cosine("J/3", p["feature"])) < 1e-6, p
    assert math.isfinite(p["x"]) and math.isfinite(p["y"])
    assert p["cluster"] is None or p["cluster"] < len(m["clusters"])
c = [p["cosine"] for p in m["points"]]
assert c == sorted(c, reverse=True)
for x in m["edges"]:
    a, b = got[x["a"]], got[x["b"]]
    assert abs(x["cosine"] - cosine(a, b)) < 1e-6
    ranks = [sorted((f for f in got if f != s), key=lambda f: -cosine(s, f)).index(o) for s, o in ((a, b), (b, a))]
    assert min(ranks) < 3, (a, b, ranks)
assert sum(x["n"] for x in m["clusters"]) == sum(p["cluster"] is not None for p in m["points"])
few = json.load(open("few.json"))["points"]
assert [p["feature"] for p in few] == got[:20]
_EOF
ok "its features, by their rows"

saedb --json map J/3 >again.json
cmp -s map.json again.json || fail "another map for the same question"
saedb map J/3 --seed 1 -o other.json
! cmp -s map.json other.json || fail "the seed changes nothing"
saedb map J/3 --sae J -o own.json
! grep -q T/ own.json || fail "--sae"
for n in 1 2 3; do
	saedb map J/3 --points $n -o small.svg || fail "a map of $n"
	[ "$(grep -c '<title>.*</circle>' small.svg)" = $n ] || fail "a picture of $n"
done
[ "$(saedb map J/3 --points 9 | wc -l)" = 10 ] || fail "as a table"
ok "the same twice"

saedb label J/3 '<script>alert("x")</script>&amp;]]>' >out
saedb label J/4 "$(printf 'a\001b\342\200\256c \360\237\230\200 \357\277\276')" >out
saedb label T/3 "$(printf '%0400d' 7)" >out
saedb map J/3 -o a.svg && saedb map J/3 -o - >b.svg && cmp a.svg b.svg ||
	fail "two pictures"
saedb map J/3 -f csv -o rows || fail "csv"
"$PYTHON" - <<'_EOF' || fail "a picture that is none"
import csv, json, xml.etree.ElementTree as tree
text = open("a.svg", encoding="utf-8").read()
root = tree.fromstring(text)
ns = "{http://www.w3.org/2000/svg}"
assert root.tag == ns + "svg" and "<script" not in text and "\u202e" not in text
tags = {x.tag[len(ns):] for x in root.iter()}
assert tags <= {"svg", "title", "rect", "g", "path", "circle", "text"}, tags
n = len(json.load(open("map.json"))["points"])
assert len([x for x in root.iter(ns + "circle") if x.find(ns + "title") is not None]) == n
words = [x.text for x in root.iter(ns + "text")]
assert any('<script>alert("x")</script>' in w for w in words), words
assert any(w.endswith("0…") for w in words) and max(map(len, words)) < 120
assert len(list(csv.DictReader(open("rows", encoding="utf-8")))) == n
_EOF
ok "a picture, whatever the labels"

# refuses STATUS TEXT ARGUMENT...
refuses()
{
	local want=$1 text=$2 rc=0
	shift 2
	saedb "$@" >out 2>err </dev/null || rc=$?
	[ $rc = "$want" ] && grep -q -- "$text" err ||
		fail "saedb $* ends with $rc: $(cat err)"
}
refuses 1 'there is no SAE "nobody"' map nobody/1
refuses 1 'features 0 to 95, not 96' map J/96
refuses 1 'there is no SAE "nobody"' map J/3 --sae nobody
refuses 1 'no neighbors of J are stored' --store none map J/3
refuses 2 'points' map J/3 --points 501
refuses 2 'points' map J/3 --points 0
refuses 2 'as what?' map J/3 -o map.png
refuses 1 'nowhere/map.svg' map J/3 -o nowhere/map.svg
[ ! -e map.png ] || fail "a file that was refused"
ok "what is refused"
done_testing
