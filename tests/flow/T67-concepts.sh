# SPDX-License-Identifier: ISC
# From words to features: what the model finds is what an index of that text stores, to
# the bit; examples, scores and ranks are computed again; and what is missing is said,
# while all else is answered.
set -eu
. "$srcdir/tests/indexer/lib.sh"
"$PYTHON" - <<'_EOF'
import json
lines = open("tiny/a.jsonl", encoding="utf-8").read().splitlines()
lines = list({json.loads(x)["id"]: x for x in lines}.values())
texts = {"t1": "golden gate bridge", "t2": " golden gate bridge", "t3": "caf\u00e9 \u6a4b!",
         "t4": "golden gate bridge " * 40, "t5": "a <|endoftext|> in between"}
some = [json.loads(x) for x in lines][5:8]
lines += [json.dumps({"id": i, "text": t}) for i, t in texts.items()]
open("a.jsonl", "w", encoding="utf-8").write("\n".join(lines) + "\n")
json.dump(texts | {d["id"]: d["text"] for d in some}, open("texts.json", "w"))
_EOF
cp -r tiny moved
index store --sae P=moved/sae/plain --sae J=moved/sae/jump --sae T=moved/sae/topk \
	--sae L=moved/sae/late --corpus a.jsonl --model "$PWD/moved/model" || fail "index"
. "$srcdir/tests/daemon/lib.sh"
start_daemon s --store store --workers 3
timeout 200 "$PYTHON" "$srcdir/tests/daemon/concepts.py" s texts.json || fail "concepts.py"
stop_daemon

# asks ARGUMENT...: of the daemon; the answer goes to ./out.
asks()
{
	timeout 60 saedb -c s "$@" >out 2>&1
}
says()
{
	grep -q -- "$1" out || fail "it does not say '$1': $(cat out)"
}

# --- the command
start_daemon s --store store
asks neighbors --text 'golden gate' -k 4 --top 1 --neighbors 2 || fail "$(cat out)"
says 'by model: .* tokens'
says 'by examples: .* the words in'
[ "$(grep -c '^  .*cosine' out)" = 6 ] || fail "neighbors: $(cat out)"
[ "$(grep -c '^[PJTL]/' out)" = 4 ] || fail "features: $(cat out)"
asks neighbors --text 'golden gate' --sae J,T --via examples --json || fail "$(cat out)"
"$PYTHON" -c '
import json
r = json.load(open("out"))
assert {x["sae"] for x in r["features"]} == {"J", "T"}, r
assert [w["via"] for w in r["ways"]] == ["examples"]' || fail "--json: $(cat out)"
! asks neighbors --text '' || fail "an empty text"
says 'must not be empty'
! asks neighbors --via model || fail "--via without --text"
says 'go with --text'
! asks neighbors J/1 --text x || fail "an address and a text"
says 'not both'
! asks neighbors || fail "neither"
says 'usage: saedb neighbors'
asks neighbors J/1 -k 2 || fail "an address: $(cat out)"
stop_daemon
ok "saedb neighbors --text"

# --- no model, as was asked for
start_daemon s --store store --no-model
asks neighbors --text 'golden gate' || fail "$(cat out)"
says 'by model: no model is at hand: .*--no-model'
says '^J/.*examples'
! asks neighbors --text 'golden gate' --via model || fail "--via model without one"
says 'no model is at hand'
asks info --json && says '"state":"off"'
stop_daemon
! timeout 20 saedbd --store store --socket s --model nowhere 2>out || fail "--model nowhere"
says 'no directory there'
! timeout 20 saedbd --store store --socket s --model tiny/model --no-model 2>out ||
	fail "both"
says 'not both'
ok "--no-model"

# --- it went elsewhere; another one; too large
mv moved/model moved/elsewhere
start_daemon s --store store
asks neighbors --text 'golden gate' || fail "$(cat out)"
says 'by model: no model is at hand: .*moved/model.*saedbd --model DIR'
says '^J/.*examples'
! asks neighbors --text x --via model || fail "a model that is gone"
says 'saedbd --model DIR'
asks info --json && says '"state":"failed"'
stop_daemon
start_daemon s --store store --model moved/elsewhere
asks neighbors --text 'golden gate' --via model || fail "$(cat out)"
says '^[PJTL]/'
stop_daemon
start_daemon s --store store --model tiny/llama
! asks neighbors --text x --via model || fail "another model"
says 'tiny/llama is not the model that was indexed'
stop_daemon
mv moved/elsewhere moved/model
"$PYTHON" -c '
import json
p = "moved/model/tokenizer.json"
t = json.load(open(p))
t["added_tokens"][0]["content"] = "<|end|>"
json.dump(t, open(p, "w"))'
start_daemon s --store store
! asks neighbors --text x --via model || fail "another tokenizer"
says 'tokenizer'
stop_daemon
cp tiny/model/tokenizer.json moved/model/
ok "a model that is not at hand"

# --- an SAE's files are gone, or another's
mv moved/sae/jump moved/sae/gone
start_daemon s --store store
asks neighbors --text 'golden gate' --via model -k 200 || fail "$(cat out)"
says 'by model, not all: of J: .*moved/sae/jump'
says '^T/'
! grep -q '^J/' out || fail "an SAE that is gone"
stop_daemon
cp -r moved/sae/plain moved/sae/jump
start_daemon s --store store
asks neighbors --text 'golden gate' --sae J || fail "$(cat out)"
says 'by model: of J: .*is not the SAE that was indexed'
says '^J/.*examples'
stop_daemon
rm -r moved/sae/jump
mv moved/sae/gone moved/sae/jump
ok "an SAE that is not at hand"

# --- nobody waits for what is being opened but who asked for it
mv moved/model/config.json config.json
mkfifo moved/model/config.json
for workers in 1 2; do
	start_daemon s --store store --workers $workers
	timeout 60 saedb -c s neighbors --text 'golden gate' >first 2>&1 &
	first=$!
	sleep 0.5
	timeout 8 saedb -c s features J >out 2>&1 || fail "blocked: $workers: $(cat out)"
	timeout 8 saedb -c s neighbors --text 'golden' --via examples >out 2>&1 ||
		fail "blocked: examples: $workers"
	! timeout 8 saedb -c s neighbors --text x --via model >out 2>&1 || fail "opened"
	says 'ask again'
	if [ $workers = 1 ]; then
		wait $first || fail "$(cat first)"
		grep -q 'by model: the model is being opened' first || fail "$(cat first)"
	fi
	timeout 20 cat config.json >moved/model/config.json
	[ $workers = 1 ] || wait $first || fail "$(cat first)"
	stop_daemon
done
rm moved/model/config.json
mv config.json moved/model/config.json
ok "look-ups go on while a model is opened"
echo 1..12
