#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Writes tok_nfc_table.c from Python's unicodedata, as far as `tokenizers` knows it:
that has an older Unicode. Only needed to rebuild it."""

import sys
import unicodedata as u

from tokenizers import normalizers

ALL = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
HANGUL = range(0xAC00, 0xAC00 + 11172)


NFD = normalizers.NFD().normalize_str


def class_of(c):
    """0 where tokenizers does not move it around another mark."""
    over, under = "a" + chr(c) + "\u0334", "a\u0345" + chr(c)
    return u.combining(chr(c)) if NFD(over) != over or NFD(under) != under else 0


def pair_of(c):
    d = u.decomposition(chr(c)) if NFD(chr(c)) != chr(c) else ""
    return [] if not d or d[0] == "<" else [int(x, 16) for x in d.split()]


def ranges(cps):
    out = []
    for c in cps:
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def table(kind, name, rows, per_row=None):
    flat = [x for r in rows for x in (r if isinstance(r, (list, tuple)) else [r])]
    body = ", ".join(str(x) for x in flat)
    size = f"[{len(rows)}]" + (f"[{per_row}]" if per_row else "")
    if per_row:
        body = ", ".join("{" + ", ".join(str(x) for x in r) + "}" for r in rows)
    return f"const {kind} {name}{size} = {{{body}}};\n"


def main():
    cut = {c: pair_of(c) for c in ALL if c not in HANGUL and pair_of(c)}
    runs, values = [], []
    for c in sorted(cut):
        width = len(cut[c])
        if runs and runs[-1][0] + runs[-1][1] == c and runs[-1][2] == width:
            runs[-1][1] += 1
        else:
            runs.append([c, 1, width, len(values)])
        values += cut[c]
    joined = sorted((d[0], d[1], c) for c, d in cut.items()
                    if len(d) == 2 and u.normalize("NFC", chr(c)) == chr(c))
    second = {d[1] for d in joined} | set(range(0x1161, 0x1176)) | set(range(0x11A8, 0x11C3))
    unsafe = [c for c in ALL if u.combining(chr(c)) or c in second
              or u.normalize("NFC", chr(c)) != chr(c)]
    classes = []
    for c in ALL:
        k = u.combining(chr(c)) and class_of(c)
        if not k:
            continue
        if classes and classes[-1][1] == c - 1 and classes[-1][2] == k:
            classes[-1][1] = c
        else:
            classes.append([c, c, k])
    sys.stdout.write(f"""/* SPDX-License-Identifier: ISC */
/* Written by make_nfc.py: Unicode {u.unidata_version}. */
#include "model/tok_nfc_table.h"

""")
    for t in (table("uint32_t", "nfc_unsafe", ranges(unsafe), 2),
              table("uint32_t", "nfc_class", classes, 3),
              table("uint32_t", "nfc_run", runs, 4),
              table("uint32_t", "nfc_value", values),
              table("uint32_t", "nfc_joined", [j[2] for j in joined])):
        sys.stdout.write(t + "\n")
    for name, rows in (("unsafe", ranges(unsafe)), ("class", classes), ("run", runs),
                       ("value", values), ("joined", joined)):
        sys.stderr.write(f"#define NFC_N_{name.upper()} {len(rows)}\n")


if __name__ == "__main__":
    main()
