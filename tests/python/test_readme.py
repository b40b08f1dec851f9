# SPDX-License-Identifier: ISC
"""Every command of README.md is run as it stands: the shell's blocks with the built
programs on PATH in a directory that holds the demo, the daemon in the background, the
Python block with the package of this checkout, and the demo itself."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from demo_store import BUILD, ROOT

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
SHELL = re.findall(r"```sh\n(.*?)```", TEXT, re.S)
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, re.S)
ENV = dict(os.environ, PATH=f"{BUILD}:{os.environ['PATH']}", SAEDB_ROOT=str(ROOT),
           SAEDB_BUILD=str(BUILD), PYTHONPATH=str(ROOT / "client/python"))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory with the demo in it, where the README's reader stands."""
    directory = tmp_path_factory.mktemp("readme")
    (directory / "demo").symlink_to(ROOT / "demo")
    return directory


def run(command, place, **more):
    """Runs it; its standard output. What it complains of is shown on failure."""
    done = subprocess.run(command, cwd=place, env=dict(ENV, **more), text=True,
                          capture_output=True, timeout=600, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


def serve(command, place):
    """A daemon: it must say that it is there by answering, and end when told."""
    with subprocess.Popen(command.split(), cwd=place, env=ENV) as process:
        try:
            for _ in range(100):
                answer = subprocess.run(["saedb", "--connect", "my.store/saedbd.sock", "info"],
                                        cwd=place, env=ENV, capture_output=True, check=False)
                if answer.returncode == 0:
                    break
                time.sleep(0.1)
            assert answer.returncode == 0
        finally:
            process.send_signal(signal.SIGTERM)
    assert process.returncode == 0


def test_shell_blocks(place):
    """The blocks in order; each command prints something and succeeds."""
    assert SHELL
    for line in "".join(SHELL).splitlines():
        if line.startswith("saedbd"):
            serve(line, place)
        elif line.startswith("export"):
            name, value = line.removeprefix("export ").split("=")
            ENV[name] = value
        else:
            out = run(["bash", "-c", line], place)
            assert out.strip(), f"{line} printed nothing"


def test_python_blocks(place):
    """The package as the README uses it."""
    assert PYTHON
    for block in PYTHON:
        assert len(run([sys.executable, "-c", block], place).splitlines()) == 5


def test_demo(place):
    """./dev demo, without the set-up: it asks and is answered."""
    out = run(["bash", str(ROOT / "demo/run.sh")], place,
              SAEDB_DEMO_STORE=str(place / "demo.store"))
    for word in ("Golden Gate", "cosine", "8k/", "1k/"):
        assert word in out


def test_links():
    """Files that the README names are there."""
    for path in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (ROOT / path).exists(), path
