# SPDX-License-Identifier: ISC
"""The directory that tells saedb-index of a model that it does not run."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Dict, Optional, Union

from .errors import BadArgument
from .extras import need
from .hooks import FAMILIES, is_lens, text_config
from .shards import CONTEXT_MAX
from .tensorfile import Tensors
from .windows import backend

UNEMBED_BYTES = 2 << 30  # an unembedding above that is left out
_NORMS = ("norm", "ln_f", "final_layer_norm", "final_layernorm", "final_norm")


def find_dir(model: Any) -> Optional[Path]:
    """Where a transformers model was loaded from, if saedb-index can take that."""
    if is_lens(model):
        return None
    name = getattr(model, "name_or_path", "")
    if not name or text_config(model).model_type not in FAMILIES:
        return None
    path = Path(name)
    if not path.is_dir():
        hub = need("huggingface_hub")
        revision = getattr(model.config, "_commit_hash", None)
        try:
            found = hub.try_to_load_from_cache(name, "config.json", revision=revision)
        except ValueError:  # it is no name of a repository
            return None
        if not isinstance(found, str):
            return None
        path = Path(found).parent
    tokenizer = (path / "tokenizer.json").exists() or (
        (path / "vocab.json").exists() and (path / "merges.txt").exists()
    )
    weights = any(path.glob("*.safetensors"))
    return path if tokenizer and weights and (path / "config.json").exists() else None


def _final_norm(model: Any) -> Any:
    core = getattr(model, "base_model", model)
    for root in (core, getattr(core, "language_model", None)):
        for name in _NORMS:
            norm = getattr(root, name, None)
            if getattr(norm, "weight", None) is not None:
                return norm
    return None


def gain_of(norm: Any) -> Any:
    """A norm's gain as it is applied, of LayerNorm or RMSNorm: Gemma stores it less 1.

    It is told by trying, since that stands in no config.
    """
    torch = need("torch")
    weight = getattr(norm, "weight", None)
    weight = norm.w if weight is None else weight
    bias = getattr(norm, "bias", None)
    bias = getattr(norm, "b", None) if bias is None else bias
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 4, len(weight), generator=generator)
    x = x.to(weight.device, weight.dtype)
    with torch.no_grad():
        y = norm(x).float()
    if bias is not None:
        y = y - bias.detach().float()
    x, weight = x.float(), weight.detach().float()
    best = None
    for centred in (x, x - x.mean(-1, keepdim=True)):
        plain = centred * torch.rsqrt(centred.pow(2).mean(-1, keepdim=True))
        for gain in (weight, 1 + weight):
            error = float((plain * gain - y).abs().max())
            if best is None or error < best[0]:
                best = error, gain
    assert best is not None
    return best[1]


def _of_lens(model: Any) -> Dict[str, Any]:
    torch = need("torch")
    c = model.cfg
    ln = getattr(model, "ln_final", None)
    folded = getattr(ln, "w", None) is None and getattr(ln, "weight", None) is None
    unembed = model.W_U.detach().T
    return {
        "hidden_size": int(c.d_model),
        "num_hidden_layers": int(c.n_layers),
        "max_position_embeddings": int(c.n_ctx),
        "vocab_size": int(unembed.shape[0]),
        "unembed": unembed,
        "gain": torch.ones(c.d_model) if folded else gain_of(ln),
    }


def _of_transformers(model: Any) -> Dict[str, Any]:
    c = text_config(model)
    out = model.get_output_embeddings()
    weight = out.weight.detach() if out is not None else None
    norm = _final_norm(model)
    return {
        "hidden_size": int(c.hidden_size),
        "num_hidden_layers": int(c.num_hidden_layers),
        "max_position_embeddings": int(
            getattr(c, "max_position_embeddings", 0) or CONTEXT_MAX
        ),
        "vocab_size": int(c.vocab_size if weight is None else weight.shape[0]),
        "unembed": weight,
        "gain": gain_of(norm) if norm is not None else None,
    }


def save_tokenizer(tokenizer: Any, directory: Path) -> None:
    """tokenizer.json and what transformers puts beside it."""
    tokenizers = need("tokenizers")
    if isinstance(tokenizer, tokenizers.Tokenizer):
        tokenizer.save(str(directory / "tokenizer.json"))
        return
    if hasattr(tokenizer, "save_pretrained"):
        tokenizer.save_pretrained(str(directory))
    if not (directory / "tokenizer.json").exists():
        backend(tokenizer)  # Unsupported where there is no fast one
        convert = need("transformers.convert_slow_tokenizer")
        fast = convert.convert_slow_tokenizer(tokenizer)
        fast.save(str(directory / "tokenizer.json"))


def save_model(
    model: Any,
    directory: Union[str, "os.PathLike[str]"],
    *,
    tokenizer: Any = None,
    weights: bool = True,
) -> Path:
    """Writes for --model what saedb-index needs of a model run elsewhere.

    That is the sizes, the tokenizer and, unless `weights` is False or it takes more
    than 2 GiB, the unembedding as float32, of which logit effects are computed.
    model: a model of transformers or a HookedTransformer.
    """
    path = Path(directory)
    lens = is_lens(model)
    if not lens and not hasattr(model, "config"):
        raise BadArgument(f"model: {type(model).__name__} is no model", "model")
    if tokenizer is None and lens:
        tokenizer = model.tokenizer
    if tokenizer is None:
        from .hooks import _tokenizer_of

        tokenizer = _tokenizer_of(model)
    if tokenizer is None:
        raise BadArgument("tokenizer: the model has none; give one", "tokenizer")
    it = _of_lens(model) if lens else _of_transformers(model)
    unembed, gain = it.pop("unembed"), it.pop("gain")
    path.mkdir(parents=True, exist_ok=True)
    save_tokenizer(tokenizer, path)
    (path / "config.json").write_text(
        json.dumps({"model_type": "saedb_head", **it}, indent=2) + "\n"
    )
    size = it["vocab_size"] * it["hidden_size"] * 4
    if weights and unembed is not None and gain is not None and size <= UNEMBED_BYTES:
        t = Tensors()
        t.put("unembed", "F32", list(unembed.shape), [unembed.float()])
        t.put("final_gain", "F32", list(gain.shape), [gain.float()])
        with open(path / "model.safetensors", "wb") as f:
            for piece in t.pieces({"format": "pt"}):
                f.write(piece)
    return path
