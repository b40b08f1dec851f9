# SPDX-License-Identifier: ISC
"""Documents out of files, tables and `datasets`, as JSON Lines and as windows."""

import datetime
import gzip
import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(os.environ.get("SAEDB_ROOT", pathlib.Path(__file__).parents[3]))
sys.path.insert(0, str(ROOT / "client/python"))

import saedb  # noqa: E402
from saedb.documents import documents_of, size_of  # noqa: E402

ROWS = [{"text": "one", "id": 7, "n": 1.5, "when": datetime.date(2020, 2, 3)},
        {"text": "zwei ü 🙂", "id": "b", "n": None, "when": None}]
JSON = [{"id": "7", "text": "one", "n": 1.5, "when": "2020-02-03"},
        {"id": "b", "text": "zwei ü 🙂", "n": None, "when": None}]


def written(rows, path, **options):
    """What write_corpus makes of it."""
    saedb.write_corpus(rows, path, **options)
    opened = gzip.open(path) if str(path).endswith(".gz") else open(path, "rb")
    with opened as f:
        return [json.loads(line) for line in f]


def python(*arguments, **more):
    """The command python -m saedb.corpus."""
    env = dict(os.environ, PYTHONPATH=os.pathsep.join(p for p in sys.path if p))
    return subprocess.run([sys.executable, "-m", "saedb.corpus", *map(str, arguments)],
                          env=env, capture_output=True, check=False, **more)


def test_rows(tmp_path):
    """Dicts, texts, a generator; and through a compressed file and back."""
    out = tmp_path / "x.jsonl.gz"
    assert written(ROWS, out) == JSON
    assert written(iter(ROWS), out) == JSON
    assert written(out, tmp_path / "y.jsonl") == JSON
    assert written([tmp_path / "y.jsonl", out], tmp_path / "z.jsonl") == JSON * 2
    assert written([str(out)], tmp_path / "z.jsonl") == JSON
    assert written(["a", "b.txt"], out) == [{"text": "a"}, {"text": "b.txt"}]
    assert saedb.write_corpus([], out) == 0


def test_columns(tmp_path):
    """The text by another name, and only some of the metadata."""
    rows = [{"body": "x", "key": 1, "a": 2, "b": {3}}]
    out = tmp_path / "x.jsonl"
    assert written(rows, out, text_field="body", id_field="key", columns=["a"]) == \
        [{"id": "1", "text": "x", "a": 2}]


def test_plain_text(tmp_path):
    """A file is a document, its name the id."""
    (tmp_path / "a.txt").write_text("line\nline\n")
    (tmp_path / "empty.txt").write_text("")
    out = tmp_path / "x.jsonl"
    assert written([tmp_path / "a.txt", tmp_path / "empty.txt"], out) == \
        [{"id": "a.txt", "text": "line\nline\n"}]


@pytest.mark.parametrize("rows, words", [
    ([{"body": "x"}], ["row 0", "'text'", "body"]),
    ([{"text": "x"}, 3], ["row 1", "int"]),
    ([{"text": 3}], ["'text' in row 0"]),
    ([{"text": "x", "id": 1.5}], ["'id' in row 0"]),
    ([{"text": "x", "b": b"bytes"}], ["'b' in row 0", "bytes", "columns"]),
    ([{"text": "\ud800"}], ["row 0", "Unicode"]),
    ([{"input_ids": [1]}], ["row 0", "tokens"]),
    ([{"body": "x", "text": "y"}], ["row 0", "'text'", "'body'"]),
    ({"text": ["x"]}, ["dataset", "dict"]),
    (5, ["dataset", "int"]),
])
def test_bad_rows(tmp_path, rows, words):
    """Each says which row and what about it."""
    both = isinstance(rows, list) and rows[0].keys() >= {"body", "text"}
    with pytest.raises(saedb.Error) as e:
        saedb.write_corpus(rows, tmp_path / "x", text_field="body" if both else "text")
    for word in words:
        assert word in str(e.value), e.value


def test_bad_files(tmp_path):
    """Missing, of an unknown kind, broken."""
    for name, data, words in (
            ("a.jsonl", b'{"text": "x"}\n{bad\n', "a.jsonl:2: "),
            ("b.jsonl", b'\n[1]\n', "b.jsonl:2: not a JSON object"),
            ("c.txt", b"x\xff", "c.txt: byte 1 is not valid UTF-8"),
            ("d.bin", b"x", "d.bin: .*none of .jsonl")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(saedb.Error, match=words):
            saedb.write_corpus(tmp_path / name, tmp_path / "out")
    with pytest.raises(saedb.NotFound, match="none.parquet: no such file"):
        saedb.write_corpus(str(tmp_path / "none.parquet"), tmp_path / "out")


def test_command(tmp_path):
    """Standard output holds JSON Lines alone; errors are a line and a status."""
    source = tmp_path / "a.jsonl"
    source.write_text(json.dumps({"body": "ü", "n": 1, "m": 2}) + "\n")
    done = python(source, "--text-field", "body", "--columns", "n")
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout) == {"text": "ü", "n": 1}
    done = python(source)
    assert done.returncode == 1 and done.stdout == b""
    assert done.stderr.startswith(b"saedb.corpus: row 0 of dataset has no 'text'")
    assert len(done.stderr.splitlines()) == 1


def test_command_reader_ends(tmp_path):
    """Silently, as other filters do."""
    source = tmp_path / "a.jsonl"
    source.write_text((json.dumps({"text": "x" * 999}) + "\n") * 2000)
    env = dict(os.environ, PYTHONPATH=os.pathsep.join(p for p in sys.path if p))
    with subprocess.Popen([sys.executable, "-m", "saedb.corpus", source], env=env,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p:
        p.stdout.read(10)
        p.stdout.close()
        assert p.stderr.read() == b""


def test_parquet_and_arrow(tmp_path):
    """Both forms of Arrow, and Parquet, in row groups."""
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pa.table({"text": [r["text"] for r in ROWS] * 3, "id": [7, 8] * 3,
                      "when": [r["when"] for r in ROWS] * 3,
                      "raw": [b"x"] * 6})
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=2)
    with pa.OSFile(str(tmp_path / "b.arrow"), "wb") as f:
        with pa.ipc.new_stream(f, table.schema) as w:
            w.write_table(table, 4)
    with pa.OSFile(str(tmp_path / "c.arrow"), "wb") as f:
        with pa.ipc.new_file(f, table.schema) as w:
            w.write_table(table, 4)
    want = [{"id": str(7 + i % 2), "text": ROWS[i % 2]["text"],
             "when": JSON[i % 2]["when"]} for i in range(6)]
    for source in ("a.parquet", "b.arrow", "c.arrow"):
        assert written(tmp_path / source, tmp_path / "o", columns=["when"]) == want
        done = python(tmp_path / source, "--columns", "when")
        assert [json.loads(x) for x in done.stdout.splitlines()] == want, done.stderr
        with pytest.raises(saedb.BadArgument, match="'raw' in row 0"):
            saedb.write_corpus(tmp_path / source, tmp_path / "o")
        with pytest.raises(saedb.NotFound, match="no column 'no'; it has text, id"):
            saedb.write_corpus(tmp_path / source, tmp_path / "o", columns=["no"])
    assert written(table, tmp_path / "o", columns=["when"]) == want
    (tmp_path / "d.parquet").write_bytes(b"not one")
    with pytest.raises(saedb.BadFormat, match="d.parquet"):
        saedb.write_corpus(tmp_path / "d.parquet", tmp_path / "o")


def test_datasets(tmp_path):
    """A Dataset, a stream of one, one on disk, and splits."""
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    d = datasets.Dataset.from_list([dict(r, id=str(r["id"])) for r in ROWS])
    out = tmp_path / "o"
    assert written(d, out) == JSON
    assert written(d.to_iterable_dataset(), out) == JSON
    d.save_to_disk(str(tmp_path / "disk"))
    assert written(tmp_path / "disk", out) == JSON
    assert written(d, out, columns=["n"]) == \
        [{k: r[k] for k in ("id", "text", "n")} for r in JSON]
    with pytest.raises(saedb.BadArgument, match="splits train"):
        saedb.write_corpus(datasets.DatasetDict(train=d), out)
    assert size_of(d) == 2 and size_of(ROWS) == 2 and size_of(iter(ROWS)) is None


def test_rows_of_tokens():
    """They keep their ids, and what is beside them is metadata."""
    d, = documents_of([{"input_ids": [1, 2], "attention_mask": [1, 1], "source": "s"}])
    assert d.text is None and d.row["input_ids"] == [1, 2] and d.meta == {"source": "s"}
