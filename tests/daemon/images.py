# SPDX-License-Identifier: ISC
"""images.py SOCKET: image.get and patches, on the small store of 1 run without images
and 1 with them (tests/store/small_image.h); what it must hold, and what is refused."""
import hashlib
import sys

import mp

c = mp.Client(sys.argv[1])
PATCH = set("token image patch row col n_rows n_cols".split())


def make(i):
    """An image by the formula of small_image.h."""
    magic, n = [(b"\x89PNG\r\n\x1a\n", 300), (b"\xff\xd8\xff\xe0", 150000),
                (b"GIF89a", 6)][i]
    return magic + bytes((j * 7 + j // 256 + i) & 255 for j in range(len(magic), n))


def fails(name, argument, *params, **named):
    try:
        r = c.call("image.get", *params, **named)
    except mp.RpcError as e:
        assert e.name == name, (params, named, e.error)
        assert e.argument == argument, (params, named, e.error)
        return e.error["message"]
    raise AssertionError((params, named, r))


# --- image.get
images = [make(i) for i in range(3)]
names = [hashlib.sha256(x).hexdigest() for x in images]
for name, data, kind in zip(names, images, ("png", "jpeg", "gif")):
    for asked in (name, name[:8], name[:40].upper()):
        r = c.call("image.get", asked)
        assert r["image"] == name and r["bytes"] == data and r["run"] == 2, r
        assert r["type"] == "image/" + kind and r["n_bytes"] == len(data)
    assert c.call("image.get", image=name, run=2)["bytes"] == data
    assert "no images" in fails("not_found", "image", name, 1)
fails("not_found", "image", "0" * 64)
fails("not_found", "image", names[0][:63] + ("1" if names[0][63] == "0" else "0"))
for bad in ("", "0123456", "0" * 65, "g" * 64, "../../image.mdb", names[0][:8] + "\0" * 8,
            names[0][:-1] + " ", 5, None):
    fails("missing_argument" if bad is None else "bad_argument", "image", bad)
fails("not_found", "run", names[0], 9)

# --- examples: what the formulas say; none where the window has none
at = {}
for run in (1, 2):
    for feature in range(40):
        for context in (0, 1, 10):
            r = c.call("feature.examples", feature="alpha/%d" % feature, run=run,
                       context=context)
            for x in r["examples"]:
                w, first, n = x["window"], x["first"], len(x["tokens"])
                assert len(x["values"]) == n and first <= x["offset"] < first + n
                patches = x.get("patches", [])
                peak = run == 2 and w % 2 == 0 and 2 <= x["offset"] < 8
                want = [t for t in range(first, first + n)
                        if run == 2 and w % 2 == 0 and 2 <= t < 8]
                assert [p["token"] for p in patches] == want, x
                assert not peak or len(want) == 6, x
                assert "patches" not in x or want
                for p in patches:
                    assert set(p) == PATCH, p
                    shape = (2, 3) if w % 4 == 0 else (3, 4)
                    number = p["token"] - 2 + (0 if w % 4 == 0 else 6)
                    assert (p["n_rows"], p["n_cols"]) == shape, p
                    assert p["patch"] == number == p["row"] * shape[1] + p["col"], p
                    assert p["image"] == names[w // 2 % 4 % 3], (w, p)
                    assert x["tokens"][p["token"] - first] == "<patch>", x
                at[peak] = at.get(peak, 0) + 1
assert at[True] > 10 and at[False] > 10, at

# --- activations: of what is shown, with the windows
for run, has in ((1, False), (2, True)):
    r = c.call("document.activations", document="doc-1", sae="alpha", run=run)
    assert ("patches" in r) == has
    r = c.call("window.activations", window=4, sae="alpha", run=run)
    assert ("patches" in r) == has
    r = c.call("window.activations", window=5, sae="alpha", run=run)
    assert "patches" not in r
r = c.call("document.activations", document="doc-2", sae="alpha", first=4, n=14)
assert [(p["window"], p["token"], p["patch"]) for p in r["patches"]] == [
    (4, t, t - 2) for t in range(4, 8)], r["patches"]
assert set(r["patches"][0]) == PATCH | {"window"}
r = c.call("window.activations", window=6, sae="Beta", first=7, n=1, labels=True)
assert [p["token"] for p in r["patches"]] == [7] and "labels" in r
assert r["patches"][0]["image"] == names[0]  # the fourth is the first again
r = c.call("window.activations", window=6, sae="Beta", first=8)
assert "patches" not in r
print("ok - images")
