# SPDX-License-Identifier: ISC
# Shards of text and of image patches: the examples of one feature show both, and the
# images come out as they went in.
set -eu
. "$srcdir/tests/indexer/lib.sh"
shards()
{
	"$PYTHON" "$srcdir/tests/indexer/shards.py" "$@"
}

shards images >images.bin
index s --sae tiny/sae/plain --activations images.bin || fail "index"
"$PYTHON" - <<'PY' || fail "examples"
import hashlib, json, struct, subprocess

raw = open("images.bin", "rb").read()
(n,) = struct.unpack_from("<Q", raw)
header = json.loads(raw[8:8 + n])
a, b = header["images"]["data_offsets"]
files = raw[8 + n + a:8 + n + b]
half = files.index(b"\x89PNG", 1)
files = {hashlib.sha256(f).hexdigest(): f for f in (files[:half], files[half:])}


def saedb(*arguments):
    return json.loads(subprocess.run(["saedb", "--store", "s", "--json", *arguments],
                                     check=True, capture_output=True).stdout)


both = 0
for index in range(96):
    kinds, patches = set(), []
    for x in saedb("examples", f"plain/{index}")["examples"]:
        peak = [p for p in x.get("patches", ()) if p["token"] == x["offset"]]
        kinds.add("image" if peak else "text")
        patches += x.get("patches", ())
    both += kinds == {"image", "text"}
    for p in patches:
        assert p["image"] in files, p
        assert p["patch"] == p["row"] * p["n_cols"] + p["col"], p
assert both > 3, f"{both} features show text and images"
print(f"# {both} features show both")
for name, content in files.items():
    subprocess.run(["saedb", "--store", "s", "image", name[:10], "-o", "file"], check=True)
    assert open("file", "rb").read() == content, name
PY
ok "text and images in one feature's examples"

saedb --store s examples "$(saedb --store s search 'image patch' | sed -n 's,^\(plain/[0-9]*\) .*,\1,p' | head -n 1)" >out
grep -q '\[image [0-9a-f]* patch [0-9],[0-9] of [23]x[23]\]' out || fail "how patches are shown"
saedb --store s token '<patch>' --sae plain >out || fail "features on patches"
grep -q '6 occurrences' out || fail "patches are counted"
[ "$(find s/cut -name image.mdb | wc -l)" = 1 ] || fail "where images are"
ok "patches, as people see them"

# A cut of the same words with other images is another cut.
"$PYTHON" - <<'PY'
raw = bytearray(open("images.bin", "rb").read())
raw[raw.rindex(b"IEND") + 4] ^= 1
open("other.bin", "wb").write(raw)
for name, spoil in (("no-image", b"\x89PNG"), ("no-grid", b"image_grids")):
    open(name, "wb").write(open("images.bin", "rb").read().replace(spoil, spoil[::-1], 1))
PY
index s --sae tiny/sae/plain --activations other.bin || fail "index other images"
[ "$(find s/cut -name image.mdb | wc -l)" = 2 ] || fail "other images, the same cut"
refuses 1 'image 0: .* none of PNG, JPEG, GIF and WebP' --store x --model tiny/model \
	--sae tiny/sae/plain --activations no-image
refuses 1 'there is no tensor "image_grids"' --store x --model tiny/model \
	--sae tiny/sae/plain --activations no-grid
ok "other images, and what is none"
done_testing
