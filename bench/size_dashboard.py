# SPDX-License-Identifier: ISC
"""What SAEDashboard writes for a feature, by its published package: the rows that
size_delphi.py left, the same SAE, 20 top sequences and 5 of each fifth of the range.
Prints features, bytes of Neuronpedia's JSON, of save_json, and of the HTML page.

    size_dashboard.py MODEL SAE OUT N_FEATURES"""

import contextlib
import io
import json
import pathlib
import sys

import torch
from sae_dashboard.components_config import (
    ActsHistogramConfig, Column, FeatureTablesConfig, LogitsHistogramConfig,
    LogitsTableConfig, SequencesConfig)
from sae_dashboard.data_writing_fns import save_feature_centric_vis
from sae_dashboard.layout import SaeVisLayoutConfig
from sae_dashboard.neuronpedia.neuronpedia_converter import NeuronpediaConverter
from sae_dashboard.neuronpedia.neuronpedia_runner_config import NeuronpediaRunnerConfig
from sae_dashboard.sae_vis_data import SaeVisConfig
from sae_dashboard.sae_vis_runner import SaeVisRunner
from sae_lens import SAE, HookedSAETransformer
from transformer_lens import HookedTransformerConfig
from transformer_lens.pretrained.weight_conversions import convert_gpt2_weights
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast


def load_model(path):
    """The demo's model, a GPT-2, in TransformerLens."""
    hf = AutoModelForCausalLM.from_pretrained(path, torch_dtype=torch.float32)
    c = hf.config
    cfg = HookedTransformerConfig(
        n_layers=c.n_layer, d_model=c.n_embd, n_ctx=c.n_positions, n_heads=c.n_head,
        d_head=c.n_embd // c.n_head, d_vocab=c.vocab_size, act_fn="gelu_new",
        normalization_type="LN", eps=c.layer_norm_epsilon, device="cpu")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(path)
    model = HookedSAETransformer(cfg, tokenizer, default_padding_side="right")
    model.load_and_process_state_dict(
        convert_gpt2_weights(hf, cfg), fold_ln=False, center_writing_weights=False,
        center_unembed=False, fold_value_biases=False)
    return model, tokenizer


def layout():
    """NeuronpediaRunner's."""
    return SaeVisLayoutConfig(columns=[Column(
        SequencesConfig(stack_mode="stack-all", buffer=None, compute_buffer=True,
                        n_quantiles=5, top_acts_group_size=20, quantile_group_size=5),
        ActsHistogramConfig(), LogitsHistogramConfig(), LogitsTableConfig(),
        FeatureTablesConfig(n_rows=3))])


def write_all(model, tokenizer, sae, rows, out, features):
    """All three forms."""
    cfg = SaeVisConfig(
        hook_point=sae.cfg.metadata.hook_name, features=features,
        minibatch_size_features=128, minibatch_size_tokens=32,
        feature_centric_layout=layout(), ignore_tokens={tokenizer.bos_token_id})
    data = SaeVisRunner(cfg).run(encoder=sae, model=model, tokens=rows)
    np_cfg = NeuronpediaRunnerConfig("demo", "", str(out), model_id="demo", layer=2,
                                     n_prompts_total=len(rows),
                                     n_tokens_in_prompt=rows.shape[1])
    names = {v: k for k, v in tokenizer.get_vocab().items()}
    (out / "np.json").write_text(
        NeuronpediaConverter.convert_to_np_json(model, data, np_cfg, names))
    data.save_json(out / "vis.json")
    save_feature_centric_vis(data, out / "vis.html")


def main():
    """Some features; each takes the same."""
    model_dir, sae_dir, out = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    n = int(sys.argv[4])
    model, tokenizer = load_model(model_dir)
    sae = SAE.load_from_disk(sae_dir, device="cpu", dtype="float32")
    rows = torch.load(out / "rows.pt")
    step = sae.cfg.d_sae // n
    log = io.StringIO()
    with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
        write_all(model, tokenizer, sae, rows, out, list(range(0, n * step, step)))
    examples = sum(len(f["activations"]) for f in
                   json.loads((out / "np.json").read_text())["features"])
    print(n, *(pathlib.Path(out / f).stat().st_size
               for f in ("np.json", "vis.json", "vis.html")), examples)


if __name__ == "__main__":
    main()
