# SPDX-License-Identifier: ISC
"""Hooks of a model in torch, by the names that saedb gives them.

A hook is TransformerLens' blocks.L.NAME, with the meaning it has in saedb-index (see
its manual, Hooks), or a module by its path, which stands for its output.
"""

from __future__ import annotations

import contextlib
import functools
import re
from dataclasses import dataclass
from typing import (
    Any,
    Callable,
    Dict,
    Iterator,
    List,
    Mapping,
    Optional,
    Sequence,
    Tuple,
)

from .errors import BadArgument, NotFound, Unsupported
from .extras import need

SITES = (
    "hook_resid_pre",
    "attn.hook_z",
    "hook_attn_out",
    "hook_resid_mid",
    "hook_mlp_in",
    "ln2.hook_normalized",
    "mlp.hook_in",
    "hook_mlp_out",
    "hook_resid_post",
)
_BLOCK = re.compile(r"blocks\.(\d+)\.(.+)")
_LAYER = re.compile(
    r"(?:(?:model|transformer|gpt_neox|language_model\.model|model\.language_model)\.)?"
    r"(?:layers|h)\.(\d+)(?:\.(mlp|attn|self_attn|attention))?"
)


@dataclass(frozen=True)
class _Family:
    """Where a layer has what the hooks name: paths below it."""

    attn: str
    out: str  # attention's product out
    ln2: str  # the norm in front of the MLP
    mlp: str = "mlp"
    attn_norm: str = ""  # norms behind attention and MLP
    mlp_norm: str = ""


_LLAMA = _Family("self_attn", "self_attn.o_proj", "post_attention_layernorm")
_GEMMA2 = _Family(
    "self_attn",
    "self_attn.o_proj",
    "pre_feedforward_layernorm",
    attn_norm="post_attention_layernorm",
    mlp_norm="post_feedforward_layernorm",
)
FAMILIES: Mapping[str, _Family] = {
    "gpt2": _Family("attn", "attn.c_proj", "ln_2"),
    "gpt_neo": _Family("attn", "attn.attention.out_proj", "ln_2"),
    "gpt_neox": _Family("attention", "attention.dense", "post_attention_layernorm"),
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "qwen2": _LLAMA,
    "qwen3": _LLAMA,
    "gemma": _LLAMA,
    "gemma2": _GEMMA2,
    "gemma3": _GEMMA2,
    "gemma3_text": _GEMMA2,
}


def is_lens(model: Any) -> bool:
    """A TransformerLens model, by what it can do."""
    return hasattr(model, "run_with_hooks") and hasattr(model, "hook_dict")


def is_known_hook(name: str) -> bool:
    """A hook that saedb-index knows by that name."""
    m = _BLOCK.fullmatch(name)
    return bool(m and m.group(2) in SITES) or _LAYER.fullmatch(name) is not None


def text_config(model: Any) -> Any:
    """Of a transformers model, the part about language."""
    config = model.config
    get = getattr(config, "get_text_config", None)
    return get() if get is not None else config


def _family_of(model: Any) -> Optional[_Family]:
    return FAMILIES.get(getattr(text_config(model), "model_type", ""))


def layer_list(model: Any) -> Optional[Any]:
    """The ModuleList of a transformers model's decoder layers, if it is plain."""
    torch = need("torch")
    n = getattr(text_config(model), "num_hidden_layers", None)
    found: List[Tuple[int, int, Any]] = []
    for name, module in model.named_modules():
        parts = name.split(".")
        if not isinstance(module, torch.nn.ModuleList) or len(module) != n:
            continue
        if any("vision" in p or "encoder" in p or "visual" in p for p in parts):
            continue
        usual = parts[-1] in ("layers", "h", "blocks")
        found.append((0 if usual else 1, len(parts), module))
    found.sort(key=lambda x: x[:2])
    return found[0][2] if found else None


def normalized(norm: Any, x: Any) -> Any:
    """What a LayerNorm or RMSNorm makes of x before its gain and bias, in float32."""
    torch = need("torch")
    x = x.float()
    eps = getattr(norm, "variance_epsilon", None)
    eps = getattr(norm, "eps", None) if eps is None else eps
    if eps is None:
        raise Unsupported(f"{type(norm).__name__} is a norm without a known epsilon")
    if isinstance(norm, torch.nn.LayerNorm):
        x = x - x.mean(-1, keepdim=True)
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)


@dataclass
class _Tap:
    """Where a hook is read: what goes into a module, or what comes out of it."""

    hook: str
    module: Any
    into: bool
    then: Optional[Callable[[Any], Any]] = None


class _Enough(Exception):
    """Every hook has been read: the rest of the pass is not needed."""


def _first_tensor(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    for x in (*args, kwargs.get("hidden_states"), *kwargs.values()):
        if hasattr(x, "detach"):
            return x
    raise Unsupported("a module that is given no tensor cannot be read")


class Runner:
    """A model that runs batches of windows and reads hooks. It leaves it as it was."""

    model: Any
    tokenizer: Any
    n_ctx: int
    name: str
    default_bos: Optional[bool] = None

    def check(self, hooks: Sequence[str]) -> None:
        """NotFound for a hook that the model has not."""
        raise NotImplementedError

    def run(
        self,
        hooks: Sequence[str],
        ids: Any,
        mask: Any,
        inputs: Optional[Mapping[str, Any]] = None,
    ) -> Dict[str, Any]:
        """Hook to (n_windows, n_positions, width), of ids and mask on any device."""
        raise NotImplementedError

    @contextlib.contextmanager
    def ready(self) -> Iterator[None]:
        """Eval mode and no gradient inside the with block."""
        torch = need("torch")
        modes = [(m, m.training) for m in self.model.modules()]
        try:
            self.model.eval()
            with torch.no_grad():
                yield
        finally:
            for m, training in modes:
                m.training = training


class TransformersRunner(Runner):
    """A model of transformers, on whatever device it is."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model = model
        self.tokenizer = tokenizer
        config = text_config(model)
        self.family = _family_of(model)
        self.layers = layer_list(model)
        self.n_ctx = int(getattr(config, "max_position_embeddings", 0) or 0)
        self.name = getattr(model, "name_or_path", "") or type(model).__name__
        self._core = getattr(model, "base_model", model)
        self._taps: Dict[str, _Tap] = {}

    # ---- where hooks are ---------------------------------------------------------

    def check(self, hooks: Sequence[str]) -> None:
        for hook in hooks:
            self._taps[hook] = self._tap(hook)

    def _tap(self, hook: str) -> _Tap:
        m = _BLOCK.fullmatch(hook)
        if m:
            return self._site(hook, int(m.group(1)), m.group(2))
        m = _LAYER.fullmatch(hook)
        if m and self.layers is not None and (self.family or not m.group(2)):
            layer = self._layer(hook, int(m.group(1)))
            below = {"mlp": "mlp", None: ""}.get(m.group(2), "attn")
            path = getattr(self.family, below) if below else ""
            return _Tap(hook, layer.get_submodule(path), into=False)
        for root in (self.model, self._core):
            try:
                return _Tap(hook, root.get_submodule(hook), into=False)
            except AttributeError:
                pass
        raise NotFound(
            f"no hook {hook!r}: a hook is blocks.LAYER.NAME, where NAME is one of "
            f"{', '.join(SITES)}, or the path of a module of {self.name}",
            "hooks",
        )

    def _layer(self, hook: str, i: int) -> Any:
        if self.layers is None:
            raise Unsupported(
                f"{hook}: {self.name} has no list of layers that can be told; name a "
                "module by its path",
                "hooks",
            )
        if i >= len(self.layers):
            raise NotFound(
                f"{hook}: {self.name} has layers 0 to {len(self.layers) - 1}", "hooks"
            )
        return self.layers[i]

    def _site(self, hook: str, i: int, site: str) -> _Tap:
        layer, f = self._layer(hook, i), self.family
        if site == "hook_resid_post":
            return _Tap(hook, layer, into=False)
        if site == "hook_resid_pre":
            return _Tap(hook, layer, into=True)
        if site not in SITES:
            raise NotFound(
                f"no hook {hook!r}: layer {i} has {', '.join(SITES)}", "hooks"
            )
        if f is None:
            raise Unsupported(
                f"{hook}: where that is in a {text_config(self.model).model_type} is "
                "not known; hook_resid_pre and hook_resid_post are, and modules by "
                "their paths",
                "hooks",
            )
        if site == "attn.hook_z":
            return _Tap(hook, layer.get_submodule(f.out), into=True)
        if site == "hook_attn_out":
            return _Tap(hook, layer.get_submodule(f.attn_norm or f.attn), into=False)
        if site == "hook_mlp_out":
            return _Tap(hook, layer.get_submodule(f.mlp_norm or f.mlp), into=False)
        if site == "mlp.hook_in":
            return _Tap(hook, layer.get_submodule(f.mlp), into=True)
        norm = layer.get_submodule(f.ln2)
        if site == "ln2.hook_normalized":
            return _Tap(hook, norm, into=True, then=lambda x: normalized(norm, x))
        parallel = getattr(text_config(self.model), "use_parallel_residual", False)
        if site == "hook_resid_mid" and parallel:
            raise NotFound(
                f"{hook}: attention and MLP of {self.name} read the same stream "
                "(parallel residual), so there is none",
                "hooks",
            )
        return _Tap(hook, norm, into=True)

    # ---- running -----------------------------------------------------------------

    def run(
        self,
        hooks: Sequence[str],
        ids: Any,
        mask: Any,
        inputs: Optional[Mapping[str, Any]] = None,
    ) -> Dict[str, Any]:
        out: Dict[str, Any] = {}
        taps = [self._taps[h] for h in hooks]
        stop = self._may_stop()
        handles = [self._register(t, out, len(hooks), stop) for t in taps]
        inside = {id(m) for m in self._core.modules()}
        core = self._core
        if inputs or any(id(t.module) not in inside for t in taps):
            core = self.model
        device = self.model.get_input_embeddings().weight.device
        extra = {
            k: v.to(device) if hasattr(v, "to") else v
            for k, v in (inputs or {}).items()
        }
        try:
            core(
                input_ids=ids.to(device),
                attention_mask=mask.to(device),
                use_cache=False,
                **extra,
            )
        except _Enough:
            pass
        finally:
            for h in handles:
                h.remove()
        for hook in hooks:
            if hook not in out:
                raise Unsupported(f"{hook}: the model did not run through it", "hooks")
            if out[hook].shape[0] == ids.numel():  # some modules lay windows end to end
                out[hook] = out[hook].reshape(*ids.shape, -1)
        return out

    def _may_stop(self) -> bool:
        """Nothing but the pass itself waits for its end."""
        return not hasattr(self.model, "hf_device_map") and not any(
            hasattr(m, "_orig_mod") for m in self.model.modules()
        )

    @staticmethod
    def _register(tap: _Tap, out: Dict[str, Any], n: int, stop: bool) -> Any:
        def keep(x: Any) -> None:
            x = x.detach()
            # Cloned: a model may go on in place.
            out[tap.hook] = tap.then(x) if tap.then is not None else x.clone()
            if stop and len(out) == n:
                raise _Enough

        def before(_: Any, args: Any, kwargs: Any) -> None:
            keep(_first_tensor(args, kwargs))

        def behind(_: Any, __: Any, output: Any) -> None:
            if isinstance(output, (tuple, list)):
                output = output[0]
            if not hasattr(output, "detach"):
                raise Unsupported(f"{tap.hook}: the module gives no tensor", "hooks")
            keep(output)

        if tap.into:
            return tap.module.register_forward_pre_hook(before, with_kwargs=True)
        return tap.module.register_forward_hook(behind)


class LensRunner(Runner):
    """A HookedTransformer (or the bridge of TransformerLens 3)."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model = model
        self.tokenizer = tokenizer if tokenizer is not None else model.tokenizer
        self.n_ctx = int(model.cfg.n_ctx)
        self.name = str(getattr(model.cfg, "model_name", "") or type(model).__name__)
        self.default_bos = getattr(model.cfg, "default_prepend_bos", None)
        self._names: Dict[str, str] = {}

    def check(self, hooks: Sequence[str]) -> None:
        for hook in hooks:
            self._names[hook] = self._lens_name(hook)

    def _lens_name(self, hook: str) -> str:
        m = _LAYER.fullmatch(hook)
        name = hook
        if m:
            part = {None: "resid_post", "mlp": "mlp_out"}.get(m.group(2), "attn_out")
            behind = getattr(
                self.model.cfg, "use_normalization_before_and_after", False
            )
            if behind and m.group(2):
                raise Unsupported(
                    f"{hook}: TransformerLens has it only behind the norm that follows; "
                    "give the transformers model",
                    "hooks",
                )
            name = f"blocks.{m.group(1)}.hook_{part}"
        m = _BLOCK.fullmatch(name)
        n = len(self.model.blocks)
        if m and int(m.group(1)) >= n:
            raise NotFound(f"{hook}: {self.name} has layers 0 to {n - 1}", "hooks")
        own = m is not None and m.group(2) == "mlp.hook_in"
        if name not in self.model.hook_dict and not own:
            raise NotFound(
                f"no hook {hook!r} in {self.name}: see model.hook_dict", "hooks"
            )
        return name

    def _stop_at(self, names: Sequence[str]) -> Optional[int]:
        """The layer before which the pass may end."""
        found = [_BLOCK.fullmatch(n) for n in names]
        if type(self.model).__name__ != "HookedTransformer" or not all(found):
            return None
        return max(int(m.group(1)) for m in found if m) + 1

    def run(
        self,
        hooks: Sequence[str],
        ids: Any,
        mask: Any,
        inputs: Optional[Mapping[str, Any]] = None,
    ) -> Dict[str, Any]:
        if inputs:
            raise Unsupported("inputs beside the ids need a transformers model")
        model = self.model
        names = [self._names[h] for h in hooks]
        got: Dict[str, Any] = {}

        def keep(x: Any, hook: Any, name: str) -> None:
            del hook  # the bridge calls it by its own name
            x = x.detach()
            got[name] = x.reshape(*x.shape[:2], -1).clone()

        needs_in = any(n.endswith(".hook_mlp_in") for n in names)
        before = getattr(model.cfg, "use_hook_mlp_in", False)
        handles = []
        if needs_in and not before:
            model.set_use_hook_mlp_in(True)
        try:
            for n in names:
                if n not in model.hook_dict:  # mlp.hook_in
                    handles.append(self._before_mlp(n, keep))
            kwargs: Dict[str, Any] = {}
            stop_at = self._stop_at(names)
            if stop_at is not None:
                kwargs["stop_at_layer"] = stop_at
            left = getattr(self.tokenizer, "padding_side", None) == "left"
            if left or not bool(mask.all()):
                kwargs["attention_mask"] = mask.to(model.cfg.device)
            model.run_with_hooks(
                ids.to(model.cfg.device),
                return_type=None,
                fwd_hooks=[
                    (n, functools.partial(keep, name=n))
                    for n in names
                    if n in model.hook_dict
                ],
                **kwargs,
            )
        finally:
            for h in handles:
                h.remove()
            if needs_in and not before:
                model.set_use_hook_mlp_in(False)
        for hook, name in zip(hooks, names):
            if name not in got:
                raise Unsupported(f"{hook}: the model did not run through it", "hooks")
        return {hook: got[name] for hook, name in zip(hooks, names)}

    def _before_mlp(self, name: str, keep: Callable[..., None]) -> Any:
        m = _BLOCK.fullmatch(name)
        assert m is not None
        mlp = self.model.blocks[int(m.group(1))].mlp

        def hook(_: Any, args: Any) -> None:
            keep(args[0], None, name)

        return mlp.register_forward_pre_hook(hook)


def runner_of(model: Any, tokenizer: Any, device: Any = None) -> Runner:
    """Of a transformers model, a HookedTransformer, or the name of one of transformers."""
    if isinstance(model, str):
        transformers = need("transformers")
        name = model
        model = transformers.AutoModelForCausalLM.from_pretrained(name)
        if device is not None:
            model = model.to(device)
    if is_lens(model):
        return LensRunner(model, tokenizer)
    if not hasattr(model, "config") or not hasattr(model, "named_modules"):
        raise BadArgument(
            f"model: {type(model).__name__} is neither a model of transformers nor a "
            "HookedTransformer, nor its name",
            "model",
        )
    if tokenizer is None:
        tokenizer = _tokenizer_of(model)
    return TransformersRunner(model, tokenizer)


def _tokenizer_of(model: Any) -> Any:
    """The tokenizer that lies where the model was loaded from, or None."""
    name = getattr(model, "name_or_path", "")
    if not name:
        return None
    transformers = need("transformers")
    try:
        return transformers.AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError, KeyError):
        return None
