"""The `.pth` files of DINO and DINOv2: every activation is timm's, positions are resampled as published."""

import math

import numpy as np
import pytest

from tests.support.said import said
from tests.weights.test_parity_timm import check, make
from vitjax.errors import InputError
from vitjax.weights.load import load
from vitjax.weights.parameters import values
from vitjax.weights.rules.resize import resize_positions

SMALL = {"embed_dim": 128, "num_heads": 2, "depth": 2, "mlp_ratio": 1, "num_classes": 0}
FILES = {  # file: timm's architecture and the arguments that set it apart
    "dino_deitsmall16_pretrain": ("vit_small_patch16_224", {"img_size": 48}),
    "dinov2_vits14_pretrain": ("vit_small_patch14_dinov2", {"img_size": 42}),
    "dinov2_vits14_reg4_pretrain": ("vit_small_patch14_reg4_dinov2", {"img_size": 42}),
    "dinov2_vitg14_pretrain": ("vit_giant_patch14_dinov2", {"img_size": 42}),
}


def published(timm, name: str):
    """A random model of timm and its tensors by the names and in the form of the file of this name."""
    import torch

    architecture, arguments = FILES[name]
    theirs, _ = make(timm, architecture, SMALL | arguments)
    tensors = theirs.state_dict()
    if "v2" in name:
        tensors["mask_token"] = torch.zeros(1, 128)
    if "reg_token" in tensors:
        tensors["register_tokens"] = tensors.pop("reg_token")
        ours = torch.randn(1, 1, 128, generator=torch.Generator().manual_seed(1))
        tensors["pos_embed"] = torch.cat([ours, tensors["pos_embed"]], dim=1)
        tensors["cls_token"] = tensors["cls_token"] - ours
    if "vitg" in name:
        tensors = {key.replace("mlp.fc1", "mlp.w12").replace("mlp.fc2", "mlp.w3"): t for key, t in tensors.items()}
    return theirs, tensors


@pytest.mark.parametrize("name", FILES)
def test_every_activation(timm, tmp_path, name):
    import torch

    theirs, tensors = published(timm, name)
    torch.save(tensors, tmp_path / f"{name}.pth")
    model = load(tmp_path / f"{name}.pth", cache=False)
    assert (model.card.architecture, model.card.converter[:4], model.config.heads) == (name, "dino", 2)
    assert model.config.preprocess.mean == (0.485, 0.456, 0.406)
    check(model, theirs)


def test_a_teacher_trained_in_chunks(timm, tmp_path):
    import torch

    _, tensors = published(timm, "dinov2_vitg14_pretrain")
    chunked = {
        f"backbone.{name.replace('blocks.', 'blocks.0.').replace('blocks.0.1', 'blocks.1.1')}": tensor
        for name, tensor in tensors.items()
    }
    assert "backbone.blocks.1.1.mlp.w3.bias" in chunked
    torch.save({"teacher": {**chunked, "dino_head.mlp.0.weight": torch.zeros(3, 3)}}, tmp_path / "teacher.pth")
    torch.save(tensors, tmp_path / "plain.pth")
    with said(r"left out, as outside of teacher\.backbone: teacher\.dino_head\.mlp\.0\.weight"):
        teacher = values(load(tmp_path / "teacher.pth", cache=False))
    plain = values(load(tmp_path / "plain.pth", cache=False))
    assert teacher.keys() == plain.keys()
    assert all(np.array_equal(teacher[name], plain[name]) for name in plain)


@pytest.mark.representatives("new0")
@pytest.mark.parametrize("new", [(7, 7), (3, 10), (14, 4)])
def test_positions_are_resampled_as_published(timm, new):
    from torch import nn, tensor

    positions = np.random.default_rng(0).standard_normal((5 * 5, 8)).astype(np.float32)
    theirs = nn.functional.interpolate(  # facebookresearch/dino, vision_transformer.py
        tensor(positions).reshape(1, 5, 5, 8).permute(0, 3, 1, 2),
        scale_factor=((new[0] + 0.1) / math.sqrt(25), (new[1] + 0.1) / math.sqrt(25)),
        mode="bicubic",
    )
    ours = resize_positions(positions, (5, 5), new, "offset bicubic")
    np.testing.assert_allclose(ours, theirs[0].flatten(1).T.numpy(), atol=2e-5)


def test_which_convention_a_file_has(timm, tmp_path):
    import torch

    for name, convention in (("dinov2_vits14_pretrain", "offset bicubic"), ("dinov2_vits14_reg4_pretrain", "bicubic")):
        torch.save(published(timm, name)[1], tmp_path / f"{name}.pth")
        old, new = (load(tmp_path / f"{name}.pth", cache=False, image_size=size) for size in (None, (28, 70)))
        wanted = resize_positions(np.asarray(old.position[...]), (3, 3), (2, 5), convention)
        np.testing.assert_array_equal(np.asarray(new.position[...]), wanted)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("dino", {"cls_token": None}, "missing tensors: cls_token"),
        ("dino", {"extra": (2,)}, "unknown tensors: extra"),
        ("dino", {"patch_embed.proj.weight": None}, r"no tensor patch_embed\.proj\.weight: this is no"),
        ("dino", {"patch_embed.proj.weight": (100, 3, 16, 16)}, "width 100 is no multiple of 64"),
        ("dino", {"pos_embed": (1, 9, 128)}, "8 positions are not a square"),
        ("dino", {"blocks.0.mlp.fc2.weight": (128,)}, r"fc2\.weight is \(128,\), in DINO it has 2 axes"),
        ("mine", {}, r"there is no config\.json beside"),
    ],
)
def test_what_is_refused(timm, tmp_path, name, change, said):
    import torch

    tensors = published(timm, "dino_deitsmall16_pretrain")[1]
    tensors |= {key: shape and torch.zeros(shape) for key, shape in change.items()}
    torch.save({key: tensor for key, tensor in tensors.items() if tensor is not None}, tmp_path / f"{name}.pth")
    with pytest.raises(InputError, match=said) as caught:
        load(tmp_path / f"{name}.pth", cache=False)
    assert "\n" not in str(caught.value)
