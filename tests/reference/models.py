# SPDX-License-Identifier: ISC
"""Compares the repositories that saedb takes names of models for with those that
TransformerLens does, name by name.

    models.py LIST_MODELS"""

import subprocess
import sys

from transformer_lens.loading_from_pretrained import (
    get_official_model_name, make_model_alias_map)


def main():
    names = sorted(make_model_alias_map())
    names += [n.upper() for n in names]
    told = subprocess.run(sys.argv[1], input="\n".join(names) + "\n", text=True,
                          capture_output=True, check=True).stdout
    have = dict(line.split("\t") for line in told.splitlines())
    wrong = [n for n in names if have[n] != get_official_model_name(n)]
    for name in wrong[:20]:
        print("FAIL", name, have[name], get_official_model_name(name))
    print("not ok" if wrong else "ok", "-", len(names) - len(wrong), "of", len(names),
          "names of models agree")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
