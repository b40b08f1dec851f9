# SPDX-License-Identifier: ISC
# What the documents say loads is what the program says, and the tests' SAEs are of the
# kinds that it lists. After a change of its tables, at the root of the sources:
#   saedb-index formats | sed -i -e '/^<!-- formats: start/r /dev/stdin' \
#       -e '/^<!-- formats: start/,/^<!-- formats: end/{/^<!-- formats/!d}' README.md
set -eu
n_ok=0

fail()
{
	echo "not ok - $*"
	exit 1
}

ok()
{
	n_ok=$((n_ok + 1))
	echo "ok - $*"
}

saedb-index formats >formats || fail "saedb-index formats"
sed -n '/^<!-- formats: start/,/^<!-- formats: end/{/^<!-- formats/!p}' \
	"$srcdir/README.md" >readme
diff formats readme >out || {
	sed 's/^/# /' out
	fail "README.md says otherwise; $srcdir/tests/flow/T20-formats.sh says what to do"
}
ok "README.md"

# What stands between backquotes in the models' second column; the SAEs' names.
awk -F '|' '/^\| models/ { t = 1 } /^\| SAEs/ { t = 2 } /^$/ { t = 0 }
	/^\|-/ || /^\| (models|SAEs)/ { next }
	t == 1 { gsub(/[`,]/, "", $3); print $3 }
	t == 2 { print $2 }' formats | tr -s ' ' '\n' | sed '/^$/d' >names
[ "$(wc -l <names)" -ge 20 ] || fail "few names"
while read -r name; do
	grep -qE "^\.Ql $name( |$)" "$srcdir/doc/saedb-index.1" ||
		fail "doc/saedb-index.1 has no '.Ql $name'"
done <names
ok "the manual"

# row FAMILY: what is loaded of it
row()
{
	sed -n "s/^| $1 |[^|]*| \(.*\) |$/\1/p" formats
}
: >seen
find "$srcdir"/tests/model/data/fam-* "$srcdir"/tests/model/data/sae-* -type d >places
find "$srcdir"/tests/model/data/fam-* -name '*.sae.safetensors' -o \
	-name 'W_enc_*' -o -name 'params_layer_*' >>places
while read -r dir; do
	saedb-index inspect "$dir" >out 2>/dev/null ||
		saedb-index inspect --hook blocks.0.hook_resid_pre "$dir" >out 2>/dev/null ||
		continue
	family=$(sed -n 's/^  family *\([^ ,]*\).*/\1/p' out)
	kind=$(sed -n 's/^  family .*(\([a-z]*\))$/\1/p' out)
	[ -n "$family" ] && [ -n "$kind" ] || fail "inspect $dir"
	row "$family" | grep -qw "$kind" || fail "$dir: $family has $kind"
	! grep -q ': a transcoder$' out || row "$family" | grep -qw transcoders ||
		fail "$dir: $family has transcoders"
	echo "$family" >>seen
done <places
awk -F '|' '/^\| SAEs/ { t = 1 } t && !/^\|-|^\| SAEs|\| no: / { print $2 }' formats >loaded
for family in $(sed '/^ /!d' loaded); do
	grep -qx "$family" seen || fail "the tests have no SAE of $family"
done
ok "$(wc -l <seen) SAEs of $(sort -u seen | wc -l) families"

echo "1..$n_ok"
