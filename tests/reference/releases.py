# SPDX-License-Identifier: ISC
"""Compares what saedb knows of SAELens' releases with SAELens' own functions: each id
must lead to the same folder of the same repository, with the same overrides.

    list_releases | releases.py"""

import sys

from sae_lens.loading.pretrained_saes_directory import (
    get_config_overrides, get_norm_scaling_factor, get_pretrained_saes_directory,
    get_repo_id_and_folder_name)

# What says nothing that counts when an SAE is applied.
IGNORED = {"dataset_path", "neuronpedia_id"}
# Their loaders find it in the files (Llama Scope), or saedb loads none (temporal).
NO_SCALE = {"llama_scope", "temporal"}
REFUSED = {"temporal"}


def expected(release, sae_id, loader):
    """A line of list_releases as SAELens has it."""
    repo, path = get_repo_id_and_folder_name(release, sae_id)
    scale = None if loader in NO_SCALE else get_norm_scaling_factor(release, sae_id)
    said = {k: v for k, v in get_config_overrides(release, sae_id).items()
            if k not in IGNORED and loader not in REFUSED}
    center = said.pop("model_from_pretrained_kwargs", {}) == {
        "center_writing_weights": True}
    norm = said.pop("normalize_activations", None) == "constant_norm_rescale"
    assert not said, f"{release}: overrides that saedb does not know: {said}"
    return (release, repo, sae_id, path, float(scale or 0),
            "center" if center else "", "constant_norm" if norm else "")


def main():
    want = {expected(name, sae_id, r.conversion_func)
            for name, r in get_pretrained_saes_directory().items()
            for sae_id in r.saes_map}
    have = set()
    for line in sys.stdin:
        name, repo, sae_id, path, scale, center, norm = line.rstrip("\n").split("\t")
        have.add((name, repo, sae_id, path, float(scale), center, norm))
    for what, some in ("missing", want - have), ("not SAELens'", have - want):
        for row in sorted(some)[:20]:
            print("FAIL", what, *row)
    print("ok" if want == have else "not ok", "-", len(want & have), "of", len(want),
          "ids in", len({w[0] for w in want}), "releases agree")
    return want != have


if __name__ == "__main__":
    sys.exit(main())
