# SPDX-License-Identifier: ISC
"""Runs a command and writes the most memory that it had resident, mapped files
included, to a file.

    peak.py FILE COMMAND [ARGUMENT...]      in MiB, rounded up
"""

import resource
import subprocess
import sys


def main():
    """Ends as the command does."""
    status = subprocess.run(sys.argv[2:], check=False).returncode
    kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        out.write(f"{-(-kib // 1024)}\n")
    sys.exit(status if status >= 0 else 128 - status)


if __name__ == "__main__":
    main()
