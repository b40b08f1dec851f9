# SPDX-License-Identifier: ISC
"""What part of an index's time each stage took, of saedb-index --report's JSON.

    stages.py REPORT NAME"""

import json
import sys


def main():
    """One line, the largest first."""
    with open(sys.argv[1], encoding="utf-8") as f:
        stages = json.load(f)["stages"]
    busy = {name: s["busy_s"] for name, s in stages.items()}
    total = sum(busy.values()) or 1
    largest = sorted(busy.items(), key=lambda item: -item[1])
    print(f"{sys.argv[2]}: share of the threads' work:",
          ", ".join(f"{n} {100 * s / total:.0f}%" for n, s in largest if s > total / 200))


if __name__ == "__main__":
    main()
