# SPDX-License-Identifier: ISC
"""Streams and SAEs that nobody trained, in SAELens' files, with what makes trained
ones hard to search in few bits: a mean, a spectrum that falls as 1 / sqrt(rank),
three outlier dimensions, and features whose thresholds lie in the tails of what
they see, at the density asked for. The recipe is bench_encode.c's."""

import torch
from sae_lens.saes.jumprelu_sae import JumpReLUSAE, JumpReLUSAEConfig
from sae_lens.saes.sae import SAEMetadata
from sae_lens.saes.topk_sae import TopKSAE, TopKSAEConfig

DIRECTIONS = 64  # of the spectrum
OUTLIER = 30     # times the other dimensions
SAMPLE = 1024    # tokens that set thresholds


def streams(n_tokens, d, generator):
    """Residual streams (n_tokens, d)."""
    directions = torch.randn(DIRECTIONS, d, generator=generator)
    x = torch.randn(n_tokens, d, generator=generator) + 2 * directions[0]
    share = torch.randn(n_tokens, DIRECTIONS, generator=generator)
    x += 2 * share / torch.arange(1, DIRECTIONS + 1).sqrt() @ directions
    for i in range(1, 4):
        x[:, d // 4 * i - 1] *= OUTLIER
    return x


def encoder(x, n, l0, generator):
    """Unit rows (n, d), biases and thresholds at which each token of x has about l0
    activations: 2.2 to 3.7 deviations of a row's values above their mean, moved
    together."""
    w = torch.nn.functional.normalize(torch.randn(n, x.shape[1], generator=generator))
    z = x @ w.T
    mean, deviation = z.mean(0), z.std(0)
    z = (z - mean) / deviation - (2.2 + 1.5 * torch.rand(n, generator=generator))
    shift = z.flatten().kthvalue(z.numel() - l0 * len(x)).values
    z -= shift  # in place: what is left of a row's threshold is where z is 0
    threshold = ((x[0] @ w.T - mean) / deviation - z[0]) * deviation
    return w, -mean, threshold


def save(path, kind, hook, weights, generator, k=50):
    """An SAE of that kind, jumprelu or topk, which SAELens and saedb-index load."""
    w, bias, threshold = weights
    n, d = w.shape
    common = {"d_in": d, "d_sae": n, "apply_b_dec_to_input": False,
              "metadata": SAEMetadata(hook_name=hook, context_size=128,
                                      prepend_bos=True, model_name="random")}
    if kind == "topk":
        sae = TopKSAE(TopKSAEConfig(k=k, rescale_acts_by_decoder_norm=False, **common))
    else:
        sae = JumpReLUSAE(JumpReLUSAEConfig(**common))
        sae.threshold.data = threshold
    sae.W_enc.data = w.T.contiguous()
    sae.b_enc.data = bias
    sae.W_dec.data = torch.nn.functional.normalize(
        torch.randn(n, d, generator=generator))
    sae.save_model(path)
