# SPDX-License-Identifier: ISC
"""saedb.index: a model and SAEs that are in memory, into a store.

Model and SAEs run where they are; saedb-index gets what fires through a pipe.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import (
    Any,
    Dict,
    Iterator,
    List,
    Mapping,
    Optional,
    Sequence,
    Set,
    Tuple,
    Union,
)

from .capturing import follow, made_by
from .client import Client, open_store
from .documents import documents_of, size_of
from .errors import BadArgument, ConnectionLost, Error, NotFound, Unsupported
from .extras import need
from .hooks import Runner, runner_of
from .modeldir import find_dir, save_model
from .passes import Batch, Sink, passes
from .progress import Progress
from .shards import ShardWriter
from .windows import rule_of, windows_of

_RUN = re.compile(r"^run (\d+)\b", re.MULTILINE)
_ENCODE_FLOATS = 1 << 26  # activations of features held dense at a time
_STDERR_BYTES = 1 << 16


@dataclass
class Indexed:
    """What came of index(): runs in a store. explained: by SAE, where encoded here."""

    store: Path
    runs: List[int]
    n_tokens: int
    explained: Dict[str, float] = field(default_factory=dict)
    mse: Dict[str, float] = field(default_factory=dict)

    @property
    def run(self) -> int:
        """The run's number, where there is one."""
        return self.runs[-1]

    def open(self, timeout: Optional[float] = 60.0) -> Client:
        """The store, as open_store() does."""
        return open_store(self.store, timeout)


# ---- SAEs ------------------------------------------------------------------------


class _Sae:
    """One SAE: how it encodes, where it reads, and how well it does."""

    def __init__(self, name: str, sae: Any, directory: Path) -> None:
        self.name = name
        self.directory = directory
        self.sae = sae
        meta = sae.cfg.metadata
        self.hook: str = getattr(meta, "hook_name", None) or ""
        if not self.hook:
            raise BadArgument(f"{name}: its config names no hook_name", "sae")
        if getattr(meta, "hook_head_index", None) is not None:
            raise Unsupported(f"{name}: an SAE of one head (hook_head_index)", "sae")
        self.hook_out: str = self.hook
        if "Transcoder" in type(sae).__name__:
            self.hook_out = getattr(meta, "hook_name_out", None) or self.hook
        # Trained on a stream without its mean, as TransformerLens can make it: that
        # is taken off, and is nothing where it is off already.
        kwargs = getattr(meta, "model_from_pretrained_kwargs", None) or {}
        self.center = bool(kwargs.get("center_writing_weights"))
        self.context = getattr(meta, "context_size", None)
        self.prepend_bos = getattr(meta, "prepend_bos", None)
        self.fit = _Fit()

    def encode(self, x: Any, y: Any, counts: Any) -> Tuple[Any, Any, Any]:
        """CSR of positions, in numpy but for the values; y is what it reconstructs."""
        torch = need("torch")
        numpy = need("numpy")
        device, dtype = self.sae.device, self.sae.dtype
        step = max(1, _ENCODE_FLOATS // int(self.sae.cfg.d_sae))
        lengths, features, values = [], [], []
        z = getattr(self.sae, "hook_z_reshaping_mode", False)
        if z:  # positions come with their heads side by side already
            self.sae.turn_off_forward_pass_hook_z_reshaping()
        try:
            for at in range(0, x.shape[0], step):
                part, mean = x[at : at + step].to(device), 0
                if self.center:
                    mean = part.mean(-1, keepdim=True)
                acts = self.sae.encode((part - mean).to(dtype))
                self.fit.add(
                    y[at : at + step].to(device),
                    self.sae.decode(acts) + mean,
                    counts[at : at + step].to(device),
                )
                row, feature = acts.nonzero(as_tuple=True)
                lengths.append(torch.bincount(row, minlength=acts.shape[0]).cpu())
                features.append(feature.cpu())
                values.append(acts[row, feature].cpu())
        finally:
            if z:
                self.sae.turn_on_forward_pass_hook_z_reshaping()
        rows = numpy.concatenate([[0], torch.cat(lengths).cumsum(0).numpy()])
        return rows, torch.cat(features).numpy(), torch.cat(values)


class _Fit:
    """The variance explained, over positions that count, as saedb-index defines it."""

    def __init__(self) -> None:
        self.n = 0
        self._shift: Any = None  # near the mean, so that squares do not cancel
        self._sum: Any = None
        self._squares = 0.0
        self._error = 0.0

    def add(self, y: Any, y_hat: Any, counts: Any) -> None:
        torch = need("torch")
        y, y_hat = y[counts], y_hat[counts]
        if y.device.type == "mps":  # has no float64
            y, y_hat = y.cpu(), y_hat.cpu()
        if not len(y):
            return
        y = y.double()
        self._error += float((y - y_hat.double()).pow(2).sum())
        if self._shift is None:
            self._shift = y.mean(0)
            self._sum = torch.zeros_like(self._shift)
        y = y - self._shift
        self._sum += y.sum(0)
        self._squares += float(y.pow(2).sum())
        self.n += len(y)

    def explained(self) -> float:
        """1 - sum |x - x_hat|^2 / sum |x - mean x|^2."""
        if self.n == 0:
            return 0.0
        variance = self._squares - float(self._sum.pow(2).sum()) / self.n
        return 1 - self._error / variance if variance > 0 else 0.0

    def mse(self) -> float:
        """The squared error of a position, summed over dimensions, in the mean."""
        return self._error / self.n if self.n else 0.0


def _default_name(sae: Any) -> str:
    meta = getattr(sae.cfg, "metadata", None)
    for key in ("sae_id", "neuronpedia_id"):
        name = getattr(meta, key, None)
        if isinstance(name, str) and name:
            return re.sub(r"[^\x21-\x3c\x3e-\x7e]|/", "_", name)[-120:]
    name = f"{getattr(meta, 'hook_name', None) or 'sae'}.{sae.cfg.d_sae}"
    return re.sub(r"[^\x21-\x3c\x3e-\x7e]|/", "_", name)[-120:]


def _named(sae: Any, name: Optional[str]) -> Dict[str, Any]:
    """SAEs by name, of whatever index() takes."""
    if isinstance(sae, Mapping):
        named = [(str(k), v) for k, v in sae.items()]
    elif isinstance(sae, (list, tuple)):
        named = [("", x) for x in sae]
    else:
        named = [(name or "", sae)]
        name = None
    if name is not None:
        raise BadArgument("name: several SAEs are named by a dict", "name")
    out: Dict[str, Any] = {}
    for key, x in named:
        if not key and isinstance(x, (str, os.PathLike)):
            key = Path(os.path.abspath(x)).name
        key = key or _default_name(x)
        if key in out:
            raise BadArgument(f"sae: two are called {key}; name them by a dict", "sae")
        if "=" in key or "/" in key or not 1 <= len(key.encode()) <= 127:
            raise BadArgument(f"sae: {key!r} is no name of an SAE", "sae")
        out[key] = x
    if not out:
        raise BadArgument("sae: none is given", "sae")
    return out


def _prepared(name: str, sae: Any, scratch: Path, device: Any) -> _Sae:
    """Saved as SAELens does, and, where it trains, read again to encode as it will."""
    sae_lens = need("sae_lens")
    if isinstance(sae, (str, os.PathLike)):
        if not Path(sae).is_dir():
            raise NotFound(f"{sae}: no such directory", "sae")
        loaded = sae_lens.SAE.load_from_disk(sae, device=str(device))
        return _Sae(name, loaded, Path(sae))
    if not hasattr(sae, "encode") or not hasattr(sae, "cfg"):
        raise BadArgument(
            f"{name}: {type(sae).__name__} is neither SAELens' nor a directory", "sae"
        )
    path = scratch / f"sae-{len(list(scratch.glob('sae-*')))}"
    if hasattr(sae, "save_inference_model"):
        sae.save_inference_model(path)
        sae = sae_lens.SAE.load_from_disk(
            path, device=str(sae.device), dtype=str(sae.dtype).rpartition(".")[2]
        )
    else:
        sae.save_model(path)
    return _Sae(name, sae, path)


# ---- saedb-index -----------------------------------------------------------------


def find_index() -> str:
    """saedb-index: $SAEDB_INDEX, on PATH, beside the saedb command or this package."""
    given = os.environ.get("SAEDB_INDEX")
    if given:
        if not os.access(given, os.X_OK):
            raise NotFound(f"$SAEDB_INDEX is {given}, which cannot be run")
        return given
    places = [str(Path(sys.executable).parent), str(Path(__file__).resolve().parent)]
    client = shutil.which("saedb")
    if client:
        places.append(str(Path(client).resolve().parent))
    path = os.environ.get("PATH", os.defpath)
    found = shutil.which("saedb-index", path=os.pathsep.join([path, *places]))
    if found is None:
        raise NotFound(
            "saedb-index is not to be found; set $SAEDB_INDEX to where it is"
        )
    return found


class _Index:
    """A saedb-index that reads shards from a pipe."""

    def __init__(self, command: Sequence[str], quiet: bool) -> None:
        self._out = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=self._out, stderr=subprocess.PIPE
        )
        self._text = b""
        self.forward = False  # its progress, once ours has ended
        self._quiet = quiet
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        assert self._process.stdin is not None
        self.stdin: Any = self._process.stdin

    def _listen(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._text = (self._text + line)[-_STDERR_BYTES:]
            if self.forward and not self._quiet:
                sys.stderr.write(line.decode(errors="replace"))

    def end(self) -> Tuple[int, str, str]:
        """Waits; its status and what it wrote to stdout and stderr."""
        try:
            self.stdin.close()
        except OSError:
            pass
        status = self._process.wait()
        self._thread.join()
        assert self._process.stderr is not None
        self._process.stderr.close()
        self._out.seek(0)
        out = self._out.read().decode(errors="replace")
        self._out.close()
        return status, out, self._text.decode(errors="replace").strip()

    def fail(self, cause: BaseException) -> None:
        """After an exception: if saedb-index ended first, what it says is the reason."""
        status, _, text = self.end()
        if isinstance(cause, ConnectionLost) and status != 0:
            raise Error(f"saedb-index: {text or f'ended with {status}'}") from cause


def _special_ids(tokenizer: Any) -> Set[int]:
    added = getattr(tokenizer, "added_tokens_decoder", None) or {}
    return {int(i) for i, t in added.items() if getattr(t, "special", False)}


def _one(values: Sequence[Any], what: str, saes: Sequence[_Sae]) -> Any:
    """What all SAEs agree on."""
    found = list(dict.fromkeys(v for v in values if v is not None))
    if len(found) > 1:
        raise BadArgument(
            f"{what}: the SAEs {', '.join(s.name for s in saes)} ask for "
            f"{', '.join(map(str, found))}; give it, or index them one by one",
            what,
        )
    return found[0] if found else None


class _Encoder:
    """What passes() does with a batch: latents of every SAE, window by window."""

    def __init__(
        self, saes: Sequence[_Sae], special: Set[int], count_special: bool
    ) -> None:
        numpy = need("numpy")
        self._saes = saes
        self._special = numpy.array([] if count_special else sorted(special), "i8")

    def __call__(self, batch: Batch) -> List[Dict[str, Any]]:
        numpy, torch = need("numpy"), need("torch")
        at = batch.starts()
        ids = numpy.concatenate([w.ids for w in batch.windows])
        counts = ~numpy.isin(ids, self._special)
        for w, start in zip(batch.windows, at):
            if w.image_patches is not None:
                of = numpy.asarray(w.image_patches)[:, 0] >= 0
                counts[start : start + len(of)] |= of
        counts = torch.from_numpy(counts)
        out: List[Dict[str, Any]] = [{} for _ in batch.windows]
        for s in self._saes:
            rows, features, values = s.encode(
                batch.hooks[s.hook], batch.hooks[s.hook_out], counts
            )
            for i in range(len(batch.windows)):
                begin, end = rows[at[i]], rows[at[i + 1]]
                out[i][s.name] = (
                    rows[at[i] : at[i + 1] + 1] - begin,
                    features[begin:end],
                    values[begin:end],
                )
        return out


def _activations(batch: Batch) -> List[Dict[str, Any]]:
    torch = need("torch")
    halves = (torch.float16, torch.bfloat16)
    here = {
        h: (x if x.dtype in halves else x.float()).cpu() for h, x in batch.hooks.items()
    }
    at = batch.starts()
    return [
        {h: x[at[i] : at[i + 1]] for h, x in here.items()}
        for i in range(len(batch.windows))
    ]


def index(
    model: Any,
    sae: Any,
    dataset: Any,
    store: Union[str, "os.PathLike[str]"],
    *,
    name: Optional[str] = None,
    model_name: Optional[str] = None,
    corpus_name: Optional[str] = None,
    encode: str = "here",
    tokenizer: Any = None,
    context: Optional[int] = None,
    prepend_bos: Optional[bool] = None,
    batch_tokens: int = 8192,
    max_tokens: Optional[int] = None,
    text_field: str = "text",
    id_field: str = "id",
    columns: Optional[Sequence[str]] = None,
    count_special: bool = False,
    model_dir: Union[None, str, "os.PathLike[str]"] = None,
    device: Any = None,
    options: Sequence[str] = (),
    quiet: bool = False,
) -> Indexed:
    """Indexes SAEs over a dataset, with model and SAEs where they are, say on a GPU.

    model, dataset, context and what follows are as of capture(); context and
    prepend_bos as the SAEs were trained, if None. sae: of SAELens, or the path of a
    saved one; a list, or a dict by name, of several, which share one pass of the
    model. name: of one SAE in the store.
    encode: "here" encodes with the SAE in its own dtype, and its latents go into the
    store; "there" sends activations, which saedb-index encodes itself.
    model_dir: for saedb-index's --model; if None, where a transformers model was
    loaded from, if saedb knows such a model, or else a directory made by save_model().
    options: more options for saedb-index. Its errors are raised, with what it said.
    """
    if encode not in ("here", "there"):
        raise BadArgument(f"encode: {encode!r} is neither here nor there", "encode")
    program = find_index()
    runner = runner_of(model, tokenizer, device)
    if runner.tokenizer is None:
        raise BadArgument("tokenizer: the model has none; give one", "tokenizer")
    where = next(iter(runner.model.parameters())).device
    with tempfile.TemporaryDirectory(prefix="saedb.") as scratch:
        saes = [
            _prepared(n, x, Path(scratch), where) for n, x in _named(sae, name).items()
        ]
        if context is None:
            context = _one([s.context for s in saes], "context", saes)
            if context is not None and runner.n_ctx:
                context = min(int(context), runner.n_ctx)
        if prepend_bos is None:
            prepend_bos = _one([s.prepend_bos for s in saes], "prepend_bos", saes)
        rule = rule_of(runner.tokenizer, runner.n_ctx, context, prepend_bos, max_tokens)
        hooks = list(dict.fromkeys([s.hook for s in saes] + [s.hook_out for s in saes]))
        runner.check(hooks)
        if model_dir is None:
            model_dir = find_dir(runner.model)
        if model_dir is None:
            model_dir = save_model(
                runner.model,
                Path(scratch) / _file_name(runner),
                tokenizer=runner.tokenizer,
            )
        command = [
            program,
            "--store",
            os.fspath(store),
            "--model",
            os.fspath(model_dir),
        ]
        for s in saes:
            command += ["--sae", f"{s.name}={s.directory}"]
        command += ["--latents" if encode == "here" else "--activations", "-"]
        command += ["--corpus-name", corpus_name or _corpus_name(dataset)]
        command += ["--model-name", model_name] if model_name else []
        command += ["--count-special"] if count_special else []
        command += ["--quiet"] if quiet else []
        documents = documents_of(dataset, text_field, id_field, columns)
        windows = windows_of(documents, runner.tokenizer, rule, runner.n_ctx)
        work = _activations
        if encode == "here":
            work = _Encoder(saes, _special_ids(runner.tokenizer), count_special)
        progress = Progress(quiet)
        shown = follow(windows, progress, size_of(dataset), max_tokens)
        return _feed(
            [*command, *options], runner, saes, hooks, shown, batch_tokens, work,
            progress, Path(store), encode, quiet,
        )  # fmt: skip


def _feed(
    command: Sequence[str],
    runner: Runner,
    saes: Sequence[_Sae],
    hooks: Sequence[str],
    windows: Iterator[Any],
    batch_tokens: int,
    work: Any,
    progress: Progress,
    store: Path,
    encode: str,
    quiet: bool,
) -> Indexed:
    """Runs saedb-index and the model until both have ended."""
    what = "latents" if encode == "here" else "activations"
    process = _Index(command, quiet)
    try:
        with ShardWriter(process.stdin, made_by=made_by(runner)) as writer:
            sink: Sink[Any] = Sink(writer)
            with runner.ready():
                for w, result in passes(runner, windows, hooks, batch_tokens, work):
                    sink.put(w, **{what: result})
            explained = {s.name: s.fit.explained() for s in saes if s.fit.n}
            mse = {s.name: s.fit.mse() for s in saes if s.fit.n}
            if encode == "here":
                writer.results(explained=explained, mse=mse)
            progress.end()
            process.forward = True
    except BaseException as e:
        process.fail(e)
        raise
    status, out, text = process.end()
    runs = [int(n) for n in _RUN.findall(out)]
    if status != 0 or not runs:
        raise Error(f"saedb-index: {text or f'ended with {status}: {out}'}")
    return Indexed(store, runs, writer.n_tokens, explained, mse)


def _file_name(runner: Runner) -> str:
    last = runner.name.rstrip("/").rpartition("/")[2]
    return re.sub(r"[^A-Za-z0-9._-]", "_", last).lstrip(".") or "model"


def _corpus_name(dataset: Any) -> str:
    """Of a path, or of what `datasets` says of itself."""
    if isinstance(dataset, (list, tuple)) and dataset:
        if isinstance(dataset[0], os.PathLike):
            dataset = dataset[0]
    if isinstance(dataset, (str, os.PathLike)):
        name = Path(dataset).name
        for ending in (".gz", ".jsonl", ".txt", ".parquet", ".arrow"):
            name = name[: -len(ending)] if name.endswith(ending) else name
        return name or "corpus"
    info = getattr(dataset, "info", None)
    return str(getattr(info, "dataset_name", None) or "corpus")
