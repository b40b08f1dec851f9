# SPDX-License-Identifier: ISC
#
# The law of the rooms: who may include whom, and where a third party's header
# may stand. Reads all C files; prints one line for each include that breaks it.
BEGIN {
	# What a room may see: itself and rooms on the floors below it.
	sees["util"] = "util"
	sees["kernel"] = "kernel util"
	sees["schema"] = "schema util"
	sees["model"] = "model kernel util"
	sees["store"] = "store schema kernel util"
	sees["analysis"] = "analysis schema model kernel util"
	sees["indexer"] = "indexer store analysis schema model kernel util"
	sees["daemon"] = "daemon store analysis schema model kernel util"
	sees["client"] = "client schema util"
	split("util kernel schema model store analysis indexer daemon client", r, " ")
	for (i in r)
		room[r[i]] = 1

	# header (a regular expression) -> the files (likewise) it may stand in.
	law("^lmdb\\.h$", "^store/kv\\.c$")
	law("^sqlite3\\.h$", "^store/db\\.c$")
	law("^faiss/", "^store/ann\\.c$")
	law("^(cblas|openblas.*|f77blas|lapacke?)\\.h$", "^kernel/")
	law("^(x86intrin|immintrin|.*mmintrin|arm_neon|cpuid)\\.h$", "^kernel/")
	law("^zlib\\.h$", "^util/")
	law("^zstd.*\\.h$", "^util/")
	law("^openssl/", "^util/hash\\.c$")
	law("^xxhash\\.h$", "^util/hash\\.c$")
	law("^(pthread|threads|semaphore)\\.h$", "^util/")
	law("^(event\\.h|evhttp\\.h|event2/)", "^daemon/")
	law("^curl/", "^daemon/")
	law("^msgpack", "^schema/")
	law("^jansson\\.h$", "^(schema/|model/json\\.c$)")
	law("^pcre2", "^model/")
	law("^omp\\.h$", "^store/ann\\.c$")
	law("^cmocka\\.h$", "^$")
	# Of these, one file in the room.
	single["^(cblas|openblas.*|f77blas|lapacke?)\\.h$"] = 1
	single["^zlib\\.h$"] = 1
	single["^zstd.*\\.h$"] = 1
}

function law(header, files)
{
	where[header] = files
}

function broken(what)
{
	print FILENAME ":" FNR ": " what
}

function include_ours(name,    to)
{
	to = name
	if (!sub(/\/.*/, "", to)) {
		if (name != "config.h")
			broken("\"" name "\" is not named from the root")
		return
	}
	if (!(to in room) || !(from in room))
		return
	if (index(" " sees[from] " ", " " to " ") == 0)
		broken(from "/ does not see " to "/, and includes \"" name "\"")
	if (name ~ /\.c$/)
		broken("includes a .c file, \"" name "\"")
}

function include_theirs(name,    header)
{
	for (header in where) {
		if (name !~ header || !(from in room))
			continue
		if (FILENAME !~ where[header])
			broken("<" name "> stands where it may not")
		else if (header in single) {
			if (header in first && first[header] != FILENAME)
				broken("<" name "> stands already in " first[header])
			first[header] = FILENAME
		}
	}
}

FNR == 1 {
	from = FILENAME
	sub(/\/.*/, "", from)
}

/^[ \t]*#[ \t]*include[ \t]/ {
	name = $0
	if (name ~ /"/) {
		gsub(/^[^"]*"|".*$/, "", name)
		for (header in where)
			if (name ~ header) {
				include_theirs(name)
				next
			}
		include_ours(name)
	} else {
		gsub(/^[^<]*<|>.*$/, "", name)
		include_theirs(name)
	}
}
