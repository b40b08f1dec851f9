# SPDX-License-Identifier: ISC
#
# ./dev demo: indexes the demo's corpus with both SAEs (unless that is done) and
# asks about its features, showing each command before its answer.
set -euo pipefail
root=$SAEDB_ROOT
store=${SAEDB_DEMO_STORE:-$root/build/demo-store}
export SAEDB_STORE=$store
if [ -t 1 ]; then
	color=always
else
	color=${SAEDB_DEMO_COLOR:-never}
fi

title()
{
	printf '\n== %s\n' "$*"
}

# ask WHAT COMMAND...: the command as one would type it, and what it answers.
ask()
{
	title "$1"
	shift
	printf '$ %s\n' "$(quoted "$@")"
	"$@" --color="$color"
}

quoted()
{
	for word in "$@"; do
		case $word in
		*[!A-Za-z0-9_/.=-]*) printf "'%s' " "$word" ;;
		*) printf '%s ' "$word" ;;
		esac
	done
}


title "Indexing $root/demo/corpus into ${store#"$root/"}"
saedb-index --store "$store" --model "$root/demo/model" \
	--sae "1k=$root/demo/sae/1k" --sae "8k=$root/demo/sae/8k" \
	--corpus "$root/demo/corpus/demo.jsonl.gz"

ask "What is in the store" saedb info
ask "Its SAEs" saedb saes
ask "Who knows the Golden Gate Bridge?" saedb search "Golden Gate Bridge" --limit 6

# shellcheck source=demo/tour.sh
. "$root/demo/tour.sh"
ask "One of them" saedb feature "$bridge"
ask "What it fires on" saedb examples "$bridge" --limit 6
ask "What lies near it in its own SAE" saedb neighbors "$bridge" --k 8
ask "and in the other" saedb neighbors "$bridge" --sae 1k --k 8
ask "The features on the tokens of a document" saedb tokens "$document" --sae 8k --top 1
ask "Which features know this token" saedb token "$token" --sae 8k --limit 6

cat <<_EOF

The store is $store; ask it anything:
  export SAEDB_STORE=$store PATH=$SAEDB_BUILD:\$PATH
  saedb help
_EOF
