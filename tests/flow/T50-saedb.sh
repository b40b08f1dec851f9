# SPDX-License-Identifier: ISC
# The saedb command as one uses it: every verb, as text and as JSON, on a store and
# on a daemon; what goes wrong, and with which exit status.
set -eu
. "$srcdir/tests/daemon/lib.sh"
[ -x "$make_store" ] || exit 77
"$make_store" store >/dev/null
mkdir tmp
export TMPDIR=$PWD/tmp SAEDB_STORE=store XDG_RUNTIME_DIR=/nowhere
unset NO_COLOR COLUMNS || :

# shows TEXT ARGUMENT...: what it prints has that text.
shows()
{
	local want=$1 rc=0
	shift
	timeout 60 saedb "$@" >out 2>err </dev/null || rc=$?
	[ $rc = 0 ] || fail "saedb $* ends with $rc: $(cat err)"
	[ ! -s err ] || fail "saedb $* complains: $(cat err)"
	grep -qF -- "$want" out || fail "saedb $* lacks '$want': $(cat out)"
}

# refuses STATUS TEXT ARGUMENT...
refuses()
{
	local want=$1 text=$2 rc=0
	shift 2
	timeout 60 saedb "$@" >out 2>err </dev/null || rc=$?
	[ $rc = "$want" ] || fail "saedb $* ends with $rc: $(cat err)"
	grep -q "^saedb: .*${text#saedb: }" err || fail "saedb $* says: $(cat err)"
	[ ! -s out ] || fail "saedb $* prints: $(cat out)"
}

# --- every verb
shows 'may be read and written' info
shows 'tiny' models
shows 'blocks.1.hook_resid_pre' saes
shows 'alpha, Beta' runs
shows 'provenance' run 1
shows 'alpha/0 ' features
shows 'Beta/19 ' features Beta
shows 'Beta/19 ' features Beta --dead
[ "$(saedb features alpha -n 7 | wc -l)" = 8 ] || fail "--limit"
[ "$(saedb features alpha --all | wc -l)" = 41 ] || fail "--all"
shows 'fires on' feature alpha/3
shows 'dead' feature ALPHA/9 --brief
shows 'Beta/3' neighbors alpha/3 --sae Beta
shows 'jaccard' cooccurrence alpha/3 --sae all --min-count 1
shows 'no features' cooccurrence alpha/9
shows 'Beta/3' splitting Beta/3 --min-cosine -1
shows '{' examples alpha/3
shows 'the best' examples alpha/3 --intervals
shows 'alpha/' tokens doc-2
shows '48;5;208m' examples alpha/3 --color=always
shows 'lang=en' documents
shows 'doc-4' documents --key lang --value en
shows 'doc-2' documents --feature alpha/3
shows 'ORANGE cat' document doc-2
shows 'window 4 of' document doc-2 --raw
shows 'golden gate bridge' search bridge --texts
shows 'alpha/1 ' search bridge --labels --sae alpha
shows 'feature,index,count' export features Beta
[ "$(saedb export features Beta | wc -l)" = 21 ] || fail "export features"
shows '"feature":"Beta/0"' export examples Beta --format jsonl
shows 'alpha/3,5,4,' export activations alpha/3
shows 'feature.many' methods
shows 'required' methods feature.get
shows '"generation"' call server.ping
shows '"index":3' call feature.get feature=alpha/3
shows '"index":3' call feature.get '{"feature": "alpha/3"}'
shows '"cosine"' call feature.neighbors feature=alpha/3 sae=Beta k=2
shows 'usage: saedb features' help features
shows 'export activations' help export
shows 'complete -F' completion bash
shows 'saedb 0' --version
saedb vector alpha/3 --raw >raw
[ "$(wc -c <raw)" = 32 ] || fail "vector --raw"
saedb neighbors - --sae alpha -k 1 <raw >out
grep -q '^alpha/3 .*1\.000' out || fail "the nearest of itself: $(cat out)"
ok "every verb"

# --- JSON: one document that a program can read
for verb in info models saes runs 'run 1' features 'features alpha --all' \
	'feature alpha/3' 'neighbors alpha/3 --sae Beta' 'examples alpha/3' \
	'tokens doc-2' documents 'documents --feature alpha/3' 'document doc-3' \
	'search bridge' 'label alpha/3' 'vector alpha/3' methods 'call run.list'; do
	# shellcheck disable=SC2086
	saedb --json $verb >out || fail "--json $verb"
	"$PYTHON" - <<_EOF || fail "--json $verb: $(cat out)"
import json
answer = json.load(open("out"), parse_constant=lambda c: 1 / 0)
assert isinstance(answer, dict) and answer, answer
_EOF
done
saedb --json features alpha --all | "$PYTHON" -c '
import json, sys
r = json.load(sys.stdin)
assert [f["index"] for f in r["features"]] == list(range(40)) and r.get("next") is None'
saedb export examples alpha --format jsonl | "$PYTHON" -c '
import json, sys
rows = [json.loads(line) for line in sys.stdin]
assert len({r["feature"] for r in rows}) == 36, len(rows)
assert all(len(r["tokens"]) == len(r["values"]) for r in rows)'
saedb export activations alpha/3 alpha/4 | "$PYTHON" -c '
import csv, sys
rows = list(csv.DictReader(sys.stdin))
assert rows and {r["feature"] for r in rows} == {"alpha/3", "alpha/4"}
assert all(float(r["value"]) > 0 for r in rows)'
ok "JSON and CSV"

# --- labels
shows 'a person said' label alpha/3 a person said --author ann --score 0.5
shows 'ann' label alpha/3
shows 'a person said' feature alpha/3
shows 'alpha/3' search said --labels
shows 'by way of "csv"' label Beta/1 'by way of "csv", quoted'
saedb labels export >labels.jsonl
saedb labels export --format csv >labels.csv
[ "$(wc -l <labels.jsonl)" = 2 ] || fail "labels export"
refuses 1 'no label of source person' label alpha/3 --delete
saedb label alpha/3 --delete --author ann >out
! grep -q 'a person' out || fail "label --delete"
saedb label Beta/1 --delete >out
saedb labels export >left
[ ! -s left ] || fail "labels are left: $(cat left)"
for f in labels.csv labels.jsonl; do
	shows '2 labels imported' labels import $f
	saedb labels export >back.jsonl
	cmp -s labels.jsonl back.jsonl || fail "labels through $f: $(cat back.jsonl)"
done
gzip -k labels.csv && shows '2 labels imported' labels import labels.csv.gz -f csv
printf 'index,description\n4,four\n5,"five, too"\n' >d.csv
shows '2 labels imported' labels import d.csv --sae alpha --source import
shows 'five, too' label alpha/5
refuses 1 'd.csv: line 2: .*--sae' labels import d.csv
printf '{"feature":"alpha/1","text":"x"}\n{"feature":"alpha/999","text":"y"}\n' >e.jsonl
refuses 1 'not 999' labels import e.jsonl
! saedb label alpha/1 | grep -q ' x$' || fail "half an import"
refuses 1 'nowhere' labels import nowhere
for i in 1 2 3 4; do
	saedb label alpha/1$i "at once $i" >/dev/null 2>>all.err &
done
wait
[ ! -s all.err ] || fail "at once: $(cat all.err)"
[ "$(saedb labels export | grep -c 'at once')" = 4 ] || fail "at once"
ok "labels"

# --- wrong use, and what is not there
refuses 2 'what is to be done'
refuses 2 'no command nope' nope
refuses 2 'export what' export
refuses 2 'no command nope' nope --limit 5
refuses 2 'export what' export --format csv features
refuses 2 'no option --nope' features --nope
refuses 2 'behind it' --limit 5 features
refuses 2 'needs N' features --limit
refuses 2 'whole number' features --limit x
refuses 2 'at least 1' features --limit 0
refuses 2 'at most 1' features --min-density 2
refuses 2 'one of index' features --sort size
refuses 2 'usage: saedb feature ADDRESS' feature
refuses 2 'usage: saedb info' info more
refuses 2 'not both' search x --labels --texts
refuses 2 'sae SAE is needed' neighbors -
refuses 2 'JSON or NAME=VALUE' call server.ping x
refuses 2 'only bash' completion zsh
refuses 2 'one of auto' info --color=sometimes
refuses 1 'not 99' feature alpha/99
refuses 1 'gamma' features gamma
refuses 1 "no feature's address" feature alpha
refuses 1 'no document nope' document nope
refuses 1 'no method' call no.such
refuses 1 'no method' methods no.such
refuses 1 'no token' token zzzz
refuses 1 'no store there' --store nowhere info
refuses 1 'nowhere' --connect nowhere info
(unset SAEDB_STORE && refuses 2 'which store' info)
mkdir empty && refuses 1 'saedb: empty: not a store' --store empty info
ok "wrong use"

# --- its own daemon: found, shown when it fails, gone at the end
printf '#!/bin/sh\necho "saedbd: it is broken" >&2\nexit 1\n' >broken
chmod +x broken
SAEDBD=$PWD/broken refuses 1 'it is broken' info
SAEDBD=/nowhere/saedbd refuses 1 'cannot be run' info
[ -z "$(ls tmp)" ] || fail "left in TMPDIR: $(ls -R tmp)"
mkfifo hold
saedb neighbors - --sae alpha <hold >/dev/null 2>&1 &
asking=$!
exec 9>hold
n=0
until ls tmp/*/sock >/dev/null 2>&1; do
	n=$((n + 1)) && [ $n -lt 400 ] || fail "no daemon was started"
	sleep 0.05
done
sleep 0.5
kill -TERM $asking
wait $asking && fail "ends with 0 by a signal" || [ $? = 143 ] || fail "SIGTERM"
exec 9>&-
sleep 0.2
[ -z "$(ls tmp)" ] || fail "left by a signal: $(ls -R tmp)"
ok "its own daemon"

# --- a daemon that is there is joined
start_daemon store/saedbd.sock --store store
shows '"connections":1' info --json
shows '"connections":2' info --json
shows 'up' --connect unix:store/saedbd.sock info
shows 'up' -c store/saedbd.sock info
"$builddir/client/example" unix:store/saedbd.sock Beta/3 >out || fail "client/example"
grep -q '^Beta/3: .*fires .* times' out || fail "client/example: $(cat out)"
! "$builddir/client/example" store/saedbd.sock Beta/999 2>/dev/null || fail "client/example"
[ -z "$(ls tmp)" ] || fail "another daemon was started"
ok "joins a daemon; client/example"

# --- latents made elsewhere, by a model without an unembedding
"$make_store" elsewhere 1 elsewhere >/dev/null
shows 'no logit effects: the store was made without' --store elsewhere feature alpha/3
! grep -q 'promotes' out || fail "promotes: $(cat out)"
shows 'fires on' --store elsewhere feature alpha/3
shows 'alpha/3 ' --store elsewhere features
for verb in saes 'run 1'; do
	# shellcheck disable=SC2086
	shows 'alpha' --store elsewhere $verb
	grep 'alpha  .* -  ' out >line || fail "$verb: $(cat out)"
	! grep -q 'nan\|0\.0%' line || fail "$verb: $(cat line)"
done
saedb --store elsewhere --json run 1 | "$PYTHON" -c '
import json, sys
for s in json.load(sys.stdin, parse_constant=lambda c: 1 / 0)["saes"]:
    assert s["explained"] is None and s["mse"] is None and s["l0"] == 2.5, s'
saedb --store elsewhere export features alpha | cut -d, -f1-6 >one
saedb export features alpha | cut -d, -f1-6 | cmp - one ||
	fail "export of a store without logit effects"
ok "without logit effects"

# --- where output goes
saedb export features alpha | head -n 1 >/dev/null 2>err
[ ! -s err ] || fail "a pipe that ends: $(cat err)"
if [ -w /dev/full ]; then
	rc=0
	saedb features >/dev/full 2>err || rc=$?
	[ $rc = 1 ] && grep -q 'standard output' err || fail "/dev/full: $rc $(cat err)"
fi
LC_ALL=C saedb document doc-1 >out
! LC_ALL=C grep -q '[^ -~]' out || fail "beyond ASCII in the C locale: $(cat out)"
LC_ALL=C saedb feature alpha/3 | LC_ALL=C grep -q '[^ -~]' && fail "beyond ASCII: feature"
grep -q 'caf..noir\|caf.u00E9' out || fail "caf\\u00E9: $(cat out)"
COLUMNS=60 saedb search bridge >out
[ "$(wc -L <out)" -le 60 ] ||
	fail "wider than COLUMNS: $(cat out)"
NO_COLOR=1 shows 'alpha' saes
! grep -q "$(printf '\033')" out || fail "colors in a file"
stop_daemon
ok "where output goes"
echo 1..8
