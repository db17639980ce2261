"""Files with Dynamic Token Normalization, written in its authors' names, are models of the reference preset."""

import numpy as np
import pytest

from tests.support import torch_files
from vitjax.errors import InputError
from vitjax.models.core.config import ViTConfig
from vitjax.weights import parameters
from vitjax.weights.cache import described, rebuilt
from vitjax.weights.families.originals.dtn import PREPROCESS
from vitjax.weights.load import load
from vitjax.weights.save import export_timm

CONFIG = ViTConfig(
    image_size=(24, 24),
    patch_size=(8, 8),
    width=12,
    depth=3,
    heads=4,
    mlp_width=20,
    classes=5,
    norm="dtn-reference",
    norm_eps=1e-5,
    joins=2,
    preprocess=PREPROCESS,
)
DEEP = {"early": 2, "blocks": 1}


def tensors(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays by the authors' names, written out by hand."""
    found = {
        "patch_embed.proj.weight": arrays["patch.kernel"].reshape(8, 8, 3, 12).transpose(3, 2, 0, 1),
        "patch_embed.proj.bias": arrays["patch.bias"],
        "cls_token": arrays["prefix"][None],
        "pos_embed": arrays["position"][None],
        "norm.weight": arrays["norm.scale"],
        "norm.bias": arrays["norm.bias"],
        "head.weight": arrays["head.kernel"].T,
        "head.bias": arrays["head.bias"],
    }
    for stack, first in (("early", 0), ("blocks", 2)):
        for row in range(DEEP[stack]):
            at, of = f"blocks.{first + row}", lambda name, stack=stack, row=row: arrays[f"{stack}.{name}"][row]
            found |= {
                f"{at}.attn.qkv.weight": of("attn.qkv.kernel").reshape(12, 36).T,
                f"{at}.attn.qkv.bias": of("attn.qkv.bias").reshape(-1),
                f"{at}.attn.proj.weight": of("attn.proj.kernel").reshape(12, 12).T,
                f"{at}.attn.proj.bias": of("attn.proj.bias"),
            }
            for layer in ("fc1", "fc2"):
                found[f"{at}.mlp.{layer}.weight"] = of(f"mlp.{layer}.kernel").T
                found[f"{at}.mlp.{layer}.bias"] = of(f"mlp.{layer}.bias")
            for norm in ("norm1", "norm2"):
                found[f"{at}.{norm}.weight"], found[f"{at}.{norm}.bias"] = of(f"{norm}.scale"), of(f"{norm}.bias")
                if stack == "early":
                    found |= {
                        f"{at}.{norm}.mean_norm_weight": of(f"{norm}.mix_mean"),
                        f"{at}.{norm}.var_norm_weight": of(f"{norm}.mix_variance"),
                        f"{at}.{norm}.pos_proj.weight": of(f"{norm}.position"),
                        f"{at}.{norm}.pos_proj.bias": np.ones(4, np.float32),
                    }
    return found


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {name: rng.standard_normal(shape, np.float32) for name, shape in parameters.shapes(CONFIG).items()}


def test_a_file_in_the_authors_names_is_a_vit_of_the_reference_preset(tmp_path, arrays):
    path = torch_files.save(tmp_path / "vit_s_dtn.pth", {f"model.{name}": x for name, x in tensors(arrays).items()})
    model = load(path, cache=False)
    assert model.config == CONFIG and model.card.converter.startswith("dtn")
    for name, array in parameters.values(model).items():
        assert (array == arrays[name]).all(), name
    with pytest.raises(InputError, match="timm has no"):
        export_timm(model, tmp_path / "timm")


def test_positions_with_one_of_the_class_token_are_not_of_these_files(tmp_path, arrays):
    more = {"pos_embed": np.zeros((1, 10, 12), np.float32)}
    path = torch_files.save(tmp_path / "vit_s_dtn.pth", tensors(arrays) | more)
    with pytest.raises(InputError, match="10 positions are not a square of patches"):
        load(path, cache=False)


def test_what_configs_have_gained_is_written_where_it_says_something():
    assert "joins" not in described(ViTConfig()) and described(CONFIG)["joins"] == 2
    assert rebuilt(ViTConfig, described(CONFIG)) == CONFIG and rebuilt(ViTConfig, described(ViTConfig())) == ViTConfig()
