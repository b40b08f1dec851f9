# SPDX-License-Identifier: ISC
#
# No giants: a function has at most 90 lines, a file at most 600. A table made
# by a program says "generated" in its first five lines and may be longer.
function file_end()
{
	if (last != "" && !made && lines > 600)
		print last ":600: the file has " lines " lines, over 600"
}

FNR == 1 {
	file_end()
	last = FILENAME
	made = 0
	start = 0
}

FNR <= 5 && /[Gg]enerated/ {
	made = 1
}

{
	lines = FNR
}

/^\{/ {
	start = FNR
}

/^\}/ {
	if (start && FNR - start > 90)
		print FILENAME ":" start ": the function has " FNR - start \
			" lines, over 90"
	start = 0
}

END {
	file_end()
}
