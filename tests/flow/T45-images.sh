# SPDX-License-Identifier: ISC
# Images whose patches are tokens: what saedbd and saedb tell of them.
set -eu
. "$srcdir/tests/daemon/lib.sh"
[ -x "$make_store" ] || exit 77
"$make_store" store >/dev/null
"$make_store" store 1 images >/dev/null
mkdir tmp
export TMPDIR=$PWD/tmp SAEDB_STORE=store XDG_RUNTIME_DIR=/nowhere
unset NO_COLOR COLUMNS || :
start_daemon store/saedbd.sock --store store
"$PYTHON" "$srcdir/tests/daemon/images.py" store/saedbd.sock || fail "images"

# shows TEXT ARGUMENT...: what it prints has that text.
shows()
{
	local want=$1
	shift
	saedb "$@" >out 2>err </dev/null || fail "saedb $*: $(cat err)"
	grep -qF -- "$want" out || fail "saedb $* lacks '$want': $(cat out)"
}

# refuses STATUS TEXT ARGUMENT...
refuses()
{
	local want=$1 text=$2 rc=0
	shift 2
	saedb "$@" >out 2>err </dev/null || rc=$?
	[ $rc = "$want" ] || fail "saedb $* ends with $rc: $(cat err)"
	grep -q "^saedb: .*$text" err || fail "saedb $* says: $(cat err)"
	[ ! -s out ] || fail "saedb $* prints: $(cat out)"
}

# --- examples and tokens name patches
png=e48ea1ba gif=610f5ae4 jpeg=4d5efbc5
shows "win [image $png patch 0,2 of 2x3] 8.27; 0,1 6.53; 0,0 0.578 bridge" \
	examples alpha/10
shows "[image $png of 2x3]" examples alpha/5
shows "208m[image $png patch 0,2 of 2x3] 8.27; 0,1 6.53; 0,0 0.578" \
	examples alpha/10 --color=always
shows "[image $png patch 0,2" feature alpha/10
shows "[image $png patch 0,2" examples alpha/10 --context 0
! saedb examples alpha/10 | grep -q '<patch>' || fail "<patch>"
! saedb examples alpha/10 --run 1 | grep -q 'image' || fail "no images in run 1"
shows "[$gif 1,2]" tokens doc-2
shows "[$jpeg 1,3]" tokens doc-1
shows '"col":2' examples alpha/10 --json
for i in $(seq 0 39); do
	saedb --json examples alpha/$i -C 3 | "$PYTHON" -c '
import json, sys
for x in json.load(sys.stdin)["examples"]:
    assert len(x["values"]) == len(x["tokens"])
    assert all(x["tokens"][p["token"] - x["first"]] == "<patch>"
               for p in x.get("patches", []))'
done
saedb export examples alpha/10 >out.csv
grep -qF "win[image $png patch 0,2 of 2x3] 8.27; 0,1 6.53; 0,0 0.578bridge 0" out.csv ||
	fail "export: $(cat out.csv)"
saedb export examples alpha/10 alpha/3 --format jsonl | "$PYTHON" -c '
import json, sys
a, b = [json.loads(line) for line in sys.stdin]
assert len(a["patches"]) == 6 and "patches" not in b, (a, b)'
ok "patches in examples"

# --- saedb image
saedb image $jpeg >a.jpg
saedb image $jpeg -o b.jpg >out
[ ! -s out ] && cmp -s a.jpg b.jpg || fail "-o"
[ "$(wc -c <a.jpg)" = 150000 ] || fail "image: $(wc -c <a.jpg)"
hash=$(sha256sum <a.jpg | cut -d' ' -f1)
shows '"type":"image/jpeg"' image "$hash" --json
saedb image "$hash" --run 2 --output - | cmp -s - a.jpg || fail "--output -"
saedb call image.get image="$hash" | "$PYTHON" -c '
import base64, json, sys
r = json.load(sys.stdin)
assert base64.b64decode(r["bytes"]) == open("a.jpg", "rb").read()'
refuses 1 'no image 00000000' image 00000000
refuses 1 'no images' image "$hash" --run 1
refuses 1 'nowhere' image "$hash" -o nowhere/x
refuses 1 'at least 8' image 0123456x
refuses 1 'must have 8 to 64' image 0123
refuses 2 'usage: saedb image HASH' image
if script -qec true /dev/null >/dev/null 2>&1 </dev/null; then
	script -qec "saedb image $hash" /dev/null >out 2>&1 </dev/null && fail "a terminal"
	grep -q 'o FILE' out || fail "a terminal: $(cat out)"
	[ "$(wc -c <out)" -lt 1000 ] || fail "bytes on a terminal"
fi
stop_daemon
ok "saedb image"
echo 1..3
