# SPDX-License-Identifier: ISC
"""third_party.py SOCKET|ADDR:PORT: every method, by pynvim's MessagePack-RPC client,
which is not ours. Its sessions begin with a notification of their own."""
import sys

from pynvim.msgpack_rpc import socket_session, tcp_session

where = sys.argv[1]
if ":" in where:
    host, port = where.rsplit(":", 1)
    s = tcp_session(host, int(port))
else:
    s = socket_session(where)


class Refused(Exception):
    pass


s.error_wrapper = Refused
read_only = s.request("server.info")["read_only"]
methods = {m["name"]: m for m in s.request("server.methods")["methods"]}
first = s.request("sae.list")["saes"][0]
sae, run = first["name"], first["runs"][-1]
live = s.request("feature.list", {"sae": sae, "sort": "count", "descending": True, "limit": 1})
feature = live["features"][0]["feature"]
document = s.request("document.list")["documents"][0]["document"]
vector = s.request("feature.vector", feature)["vector"]
assert isinstance(vector, bytes) and len(vector) == 4 * first["d_in"]
acts = s.request("document.activations", document, sae)
token = next(t for t, i in zip(acts["tokens"], acts["ids"]) if t and "\\x" not in t)
neighbors = {"feature": feature}
for x in s.request("sae.list")["saes"]:
    try:
        s.request("feature.neighbors", {"feature": feature, "sae": x["name"]})
        neighbors["sae"] = x["name"]
    except Refused:
        pass
asked = {
    "run.get": [run], "feature.get": [feature], "feature.many": [[feature, "no/1"]],
    "feature.list": [sae, None, "max", True], "feature.examples": [feature],
    "feature.neighbors": [neighbors], "map.feature": [{"feature": feature}],
    "feature.cooccurrence": [feature], "feature.splitting": [feature],
    "feature.vector": [feature],
    "feature.documents": [feature], "vector.neighbors": [vector, sae, 3],
    "concept.neighbors": ["bridge"],
    "document.get": [document], "document.activations": [document, sae],
    "window.activations": [{"window": 0, "sae": sae, "labels": True}],
    "image.get": ["0" * 64],
    "feature.activations": [feature], "token.features": [token, sae],
    "label.get": [feature], "label.set": [feature, "by another's client", "pynvim"],
    "label.import": [[{"feature": feature, "text": "imported"}]],
    "label.search": ["bridge"], "text.search": ["bridge"],
}
n_ok = 0
for name in sorted(methods):
    if name == "label.delete":
        continue
    try:
        r = s.request(name, *asked.get(name, []))
    except Refused as e:
        error = e.args[0]
        if read_only and error["name"] == "denied" and "write" in methods[name]["needs"]:
            n_ok += 1
            continue
        # The small store's vocabulary need not hold what its windows' texts are, and
        # it has no images.
        assert name in ("token.features", "image.get"), (name, error)
        assert error["name"] == "not_found", (name, error)
        n_ok += 1
        continue
    assert r["generation"] > 0, (name, r)
    n_ok += 1
if not read_only:
    mine = [x for x in s.request("label.get", feature)["labels"] if x["author"] == "pynvim"]
    assert mine[0]["text"] == "by another's client", mine
    s.request("label.delete", mine[0]["id"])
    n_ok += 1
else:
    try:
        s.request("label.delete", 1)
    except Refused:
        n_ok += 1
assert n_ok == len(methods), (n_ok, len(methods))
try:
    s.request("feature.get", "no/1")
    raise AssertionError("no error")
except Refused as e:
    assert e.args[0]["name"] == "not_found" and e.args[0]["argument"] == "feature"
s.close()
print("ok - %d methods by pynvim's client over %s" % (n_ok, where))
