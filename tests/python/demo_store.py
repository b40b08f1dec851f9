# SPDX-License-Identifier: ISC
"""The demo's corpus, indexed once for all Python tests by the built programs."""

import atexit
import functools
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(os.environ.get("SAEDB_ROOT", pathlib.Path(__file__).parents[2]))
BUILD = pathlib.Path(os.environ.get("SAEDB_BUILD", ROOT / "build/release"))
sys.path.insert(0, str(ROOT / "tests/reference"))

from rpc import Daemon  # noqa: E402

GOLDEN = ROOT / "tests/golden/demo.json"


@functools.cache
def store():
    """The directory of a fresh store with both SAEs."""
    directory = tempfile.mkdtemp(prefix="saedb-demo-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    path = pathlib.Path(directory) / "store"
    demo = ROOT / "demo"
    subprocess.run(
        [BUILD / "saedb-index", "--quiet", "--store", path, "--model", demo / "model",
         "--sae", f"1k={demo}/sae/1k", "--sae", f"8k={demo}/sae/8k",
         "--corpus", demo / "corpus/demo.jsonl.gz"], check=True)
    return path


@functools.cache
def daemon():
    """An Rpc connection to a daemon that serves the store until the tests end."""
    context = Daemon(BUILD / "saedbd", store())
    rpc = context.__enter__()
    atexit.register(context.__exit__)
    return rpc
