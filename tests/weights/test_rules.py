"""Rule tables refuse what they do not know, and timm's table knows what timm knows."""

from functools import cache
from inspect import signature

import numpy as np
import pytest

from vitjax.errors import InputError
from vitjax.models.core.config import ViTConfig
from vitjax.weights import parameters
from vitjax.weights.families.family import port
from vitjax.weights.families.timm.models import TIMM
from vitjax.weights.families.timm.models import config as config_from_timm
from vitjax.weights.families.timm.plain import table
from vitjax.weights.families.timm.plain_architectures import ARCHITECTURES, UNSUPPORTED
from vitjax.weights.parameters import build, shapes
from vitjax.weights.rules.convert import convert, unconvert
from vitjax.weights.rules.layouts import drop, linear, merge, norm, patch_conv, same
from vitjax.weights.rules.prefix_tokens import unfolded

TABLE = [
    *patch_conv("stem", "patch", (1, 2)),
    *norm("layer.{i}.norm", "blocks.norm1"),
    *linear("layer.{i}.qkv", "blocks.qkv"),
    *merge("layer.{i}.out", "blocks.out"),
    *same("layer.{i}.gamma", "blocks.scale1"),
    *same("layer.{i}.lambda", "blocks.scale1"),
    *same("token", "prefix", leading=1),
    *drop("mask"),
    *linear("head", "head"),
]
TARGETS = {  # width 4, two heads of 2 channels, three blocks
    "patch.kernel": (6, 4),
    "blocks.norm1.scale": (3, 4),
    "blocks.norm1.bias": (3, 4),
    "blocks.qkv.kernel": (3, 4, 3, 2, 2),
    "blocks.qkv.bias": (3, 3, 2, 2),
    "blocks.out.kernel": (3, 2, 2, 4),
    "blocks.scale1": (3, 4),
    "prefix": (1, 4),
}
BLOCK = {
    "norm.weight": (4,),
    "norm.bias": (4,),
    "qkv.weight": (12, 4),
    "qkv.bias": (12,),
    "out.weight": (4, 4),
    "gamma": (4,),
}
STACKS = {"blocks": [("blocks", i) for i in range(3)]}
PREPROCESS = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


@pytest.fixture
def source():
    """A source's tensors that fit TABLE and TARGETS."""
    generator = np.random.default_rng(0)
    wanted = {"stem.weight": (4, 3, 1, 2), "token": (1, 1, 4)}
    wanted |= {f"layer.{i}.{name}": shape for i in range(3) for name, shape in BLOCK.items()}
    return {name: generator.standard_normal(shape).astype(np.float16) for name, shape in wanted.items()}


def refusal(source, table=TABLE):
    """The message with which a conversion is refused, which must be one line."""
    with pytest.raises(InputError) as caught:
        convert(source, table, TARGETS, STACKS)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_layouts(source):
    arrays = convert(source, TABLE, TARGETS, STACKS)
    assert {name: array.shape for name, array in arrays.items()} == TARGETS
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float32)}
    x = np.arange(4, dtype=np.float32)
    wanted = (source["layer.2.qkv.weight"].astype(np.float32) @ x).reshape(3, 2, 2)
    np.testing.assert_allclose(np.tensordot(x, arrays["blocks.qkv.kernel"][2], 1), wanted, rtol=1e-6)
    z = x.reshape(2, 2)
    wanted = source["layer.1.out.weight"].astype(np.float32) @ x
    np.testing.assert_allclose(np.tensordot(z, arrays["blocks.out.kernel"][1], 2), wanted, rtol=1e-6)
    patch = np.arange(6, dtype=np.float32).reshape(1, 2, 3)  # row, column, channel
    wanted = np.einsum("oihw,hwi->o", source["stem.weight"].astype(np.float32), patch)
    np.testing.assert_allclose(patch.reshape(-1) @ arrays["patch.kernel"], wanted, rtol=1e-6)


def test_other_dtype_and_dropped_tensors(source):
    source["mask"] = np.zeros((7, 7))
    assert convert(source, TABLE, TARGETS, STACKS, np.float16)["prefix"].dtype == np.float16


def test_unknown_tensors(source):
    assert refusal(source | {"layer.0.gama": np.ones(4)}).startswith(
        "unknown tensors: layer.0.gama (did you mean layer.0.gamma"
    )
    assert "head.weight" in refusal(source | {"head.weight": np.ones((5, 4))})  # known, but this model has no head
    many = refusal(source | {f"extra.{i}": np.ones(1) for i in range(30)})
    assert "extra.3 and 26 more" in many and "extra.4" not in many


def test_missing_tensors(source):
    del source["layer.1.qkv.bias"], source["layer.2.gamma"]
    assert refusal(source) == "missing tensors: layer.1.qkv.bias, layer.2.gamma"


def test_misspelt_tensor_is_named_with_the_missing_one(source):
    source["layer.1.qkv.bais"] = source.pop("layer.1.qkv.bias")
    assert "(did you mean layer.1.qkv.bias?); missing tensors: layer.1.qkv.bias" in refusal(source)


def test_array_that_no_rule_fills(source):
    short = [rule for rule in TABLE if rule.target != "prefix"]
    assert "missing tensors: any for prefix" in refusal({k: v for k, v in source.items() if k != "token"}, short)


def test_doubled_tensors(source):
    doubled = refusal(source | {"layer.1.lambda": source["layer.1.gamma"]})
    assert doubled == "tensors given twice: layer.1.gamma and layer.1.lambda"
    source["layer.1.lambda"] = source.pop("layer.1.gamma")
    convert(source, TABLE, TARGETS, STACKS)


def test_wrong_shapes(source):
    source["layer.0.qkv.weight"] = source["layer.0.qkv.weight"].T
    assert refusal(source) == "tensors of the wrong shape: layer.0.qkv.weight is (4, 12) instead of (12, 4)"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite(source, bad):
    source["layer.2.norm.bias"][1] = bad
    assert refusal(source) == "tensors with values that are not finite: layer.2.norm.bias"


def test_overflow_is_not_finite(source):
    source["token"] = np.full((1, 1, 4), 1e6, np.float32)
    with pytest.raises(InputError, match="not finite: token"):
        convert(source, TABLE, TARGETS, STACKS, np.float16)


# Two stacks: one of a pattern of two unlike kinds of blocks, only the second of which reduces, and one of blocks that
# are kept one by one.
PATTERN = {
    "stages.0.blocks": [("stages.0.local", 0), ("stages.0.reduced", 0), ("stages.0.local", 1), ("stages.0.reduced", 1)],
    "stages.1.blocks": [("stages.1.blocks.0", None), ("stages.1.blocks.1", None)],
}
PATTERNED = [
    *linear("layers.0.{i}.fc", "stages.0.blocks.fc"),
    *same("layers.0.{i}.reduce", "stages.0.blocks.reduce"),
    *same("layers.1.{i}.gamma", "stages.1.blocks.scale"),
    *same("first", "stages.1.blocks.0.first"),
    *same("shared", "stages.0.blocks.table"),
]
PATTERNED_SHAPES = {
    **{f"stages.0.{kind}.fc.kernel": (2, 3, 4) for kind in ("local", "reduced")},
    **{f"stages.0.{kind}.fc.bias": (2, 4) for kind in ("local", "reduced")},
    "stages.0.reduced.reduce": (2, 5),
    "stages.0.local.table": (2, 6),
    "stages.1.blocks.0.scale": (4,),
    "stages.1.blocks.1.scale": (4,),
    "stages.1.blocks.0.first": (1,),
}


@pytest.fixture
def patterned():
    """A source's tensors that fit PATTERNED."""
    draw = np.random.default_rng(0).standard_normal
    blocks = {f"layers.0.{i}.fc.{name}": draw(shape) for i in range(4) for name, shape in FC.items()}
    reduce = {f"layers.0.{i}.reduce": draw(5) for i in (1, 3)}
    scales = {f"layers.1.{i}.gamma": draw(4) for i in range(2)}
    return {**blocks, **reduce, **scales, "first": draw(1), "shared": draw((2, 6))}


FC = {"weight": (4, 3), "bias": (4,)}


def test_blocks_of_several_stacks_and_kinds_find_their_rows(patterned):
    arrays = convert(patterned, PATTERNED, PATTERNED_SHAPES, PATTERN, np.float64)
    for i, kind in enumerate(("local", "reduced", "local", "reduced")):
        np.testing.assert_array_equal(
            arrays[f"stages.0.{kind}.fc.kernel"][i // 2], patterned[f"layers.0.{i}.fc.weight"].T
        )
    np.testing.assert_array_equal(arrays["stages.0.reduced.reduce"][1], patterned["layers.0.3.reduce"])
    np.testing.assert_array_equal(arrays["stages.1.blocks.1.scale"], patterned["layers.1.1.gamma"])
    again = unconvert(arrays, PATTERNED, PATTERN)
    assert again.keys() == patterned.keys()
    assert all(np.array_equal(again[name], tensor) for name, tensor in patterned.items())


def test_a_block_of_another_kind_has_no_such_tensor(patterned):
    with pytest.raises(InputError, match=r"^unknown tensors: layers.0.2.reduce"):
        convert(patterned | {"layers.0.2.reduce": np.ones(5)}, PATTERNED, PATTERNED_SHAPES, PATTERN)
    del patterned["layers.0.1.reduce"], patterned["layers.1.0.gamma"]
    with pytest.raises(InputError, match=r"^missing tensors: layers.0.1.reduce, layers.1.0.gamma$"):
        convert(patterned, PATTERNED, PATTERNED_SHAPES, PATTERN)


def test_a_rule_of_blocks_needs_a_stack():
    with pytest.raises(ValueError, match="of no stack"):
        convert({}, same("{i}.a", "a"), {"a": (1,)}, {})


def test_model_and_arrays():
    config = ViTConfig(image_size=(32, 32), width=24, depth=2, heads=3, mlp_width=48, classes=5)
    generator = np.random.default_rng(0)
    arrays = {name: generator.standard_normal(shape, np.float32) for name, shape in shapes(config).items()}
    again = parameters.values(build(config, arrays))
    assert again.keys() == arrays.keys()
    assert all((again[name] == array).all() for name, array in arrays.items())
    renamed = {name.replace("head.b", "hat.b"): array for name, array in arrays.items()}
    with pytest.raises(InputError, match=r"unknown arrays: hat.bias \(did you mean .*missing arrays: head.bias"):
        build(config, renamed)
    with pytest.raises(InputError, match=r"wrong shape: prefix is \(2, 24\) instead of \(1, 24\)"):
        build(config, arrays | {"prefix": np.zeros((2, 24))})


def config(architecture="vit_tiny_patch16_224", tensor_shapes=None, /, **fields):
    """The config of a `config.json` with these fields."""
    return config_from_timm({"architecture": architecture, "pretrained_cfg": PREPROCESS} | fields, tensor_shapes or {})


def test_config_reads_every_place():
    cfg = PREPROCESS | {"input_size": [3, 384, 384], "crop_pct": 0.95, "interpolation": "bilinear", "num_classes": 3}
    first = config("vit_base_patch16_224.augreg", pretrained_cfg=cfg, num_classes=10, model_args={"depth": 5})
    assert (first.image_size, first.classes, first.depth, first.width) == ((384, 384), 10, 5, 768)
    assert (first.preprocess.crop, first.preprocess.interpolation) == (0.95, "bilinear")
    assert first.preprocess.mean == tuple(PREPROCESS["mean"])
    flat = config_from_timm({"architecture": "vit_tiny_patch16_384"} | PREPROCESS, {})
    assert (flat.image_size, flat.classes) == ((384, 384), 1000)
    assert config(model_args={"img_size": [48, 80], "drop_path_rate": 0.1}).grid == (3, 5)
    assert config("vit_so400m_patch14_siglip_384").image_size == (378, 378)
    assert config(global_pool="avg").final_norm == "pooled"
    assert config(global_pool="avg", model_args={"fc_norm": False}).final_norm == "tokens"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"architecture": "vit_tiny_patch16_225"}, r"'vit_tiny_patch16_225' \(did you mean vit_tiny_patch16_224"),
        ({"architecture": "vit_base_patch16_xp_224"}, "parallel blocks and RMSNorm"),
        ({"architecture": "eva02_enormous_patch14_clip_224"}, "norms after the residual branches"),
        ({"model_args": {"embed_dims": 3}}, r"unknown model_args.embed_dims \(did you mean embed_dim"),
        ({"model_args": {"proj_bias": False}}, "proj_bias=False is not supported, only True"),
        ({"model_args": {"act_layer": "relu"}}, "act_layer='relu' is not supported, only 'gelu'"),
        ({"global_pool": "max"}, "global_pool='max' is not supported, only 'token', 'avg', 'map', ''"),
        ({"pretrained_cfg": {"mean": [0.5] * 3}}, "states no std"),
        ({"model_args": {"class_token": False}}, "pool='token' reads the class token"),
        ({"model_args": {"num_heads": 5}}, "width 192 does not split into 5 heads"),
        ({"model_args": {"depth": "12"}}, "depth='12' in config.json is not a whole number above 0"),
        ({"model_args": {"reg_tokens": -1}}, "reg_tokens=-1 in config.json is not a whole number"),
        ({"model_args": {"img_size": [224]}}, r"img_size=\[224\] in config.json is not pixels or \[height, width\]"),
        ({"model_args": {"qkv_bias": None}}, "qkv_bias=None in config.json is not true or false"),
        ({"model_args": [3]}, r"model_args in config.json is \[3\], not an object"),
        ({"pretrained_cfg": PREPROCESS | {"std": [1, 0, 1]}}, "std=.* is not numbers above 0, one for each channel"),
        (
            {"pretrained_cfg": PREPROCESS | {"mean": "imagenet"}},
            "mean='imagenet' in config.json is not numbers, one for each channel",
        ),
        ({"pretrained_cfg": PREPROCESS | {"crop_pct": 0}}, "crop_pct=0 in config.json is not a number above 0"),
    ],
)
def test_config_refuses(fields, message):
    with pytest.raises(InputError, match=message) as caught:
        config_from_timm({"architecture": "vit_tiny_patch16_224", "pretrained_cfg": PREPROCESS} | fields, {})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        (
            "patch_embed.proj.weight",
            (384, 3, 16, 16),
            r"width \(embed_dim\) 192, but patch_embed.proj.weight .*384",
        ),
        ("patch_embed.proj.weight", (192, 3, 32, 32), "patch height 16, but"),
        ("blocks.0.mlp.fc1.weight", (384, 192), r"MLP width \(mlp_ratio\) 768, but"),
        ("blocks.0.norm1.weight", (192,), "12 blocks, the tensors hold 1"),
        ("pos_embed", (1, 577, 192), r"positions \(img_size, no_embed_class\) 197, but pos_embed has shape \(1, 577"),
        ("head.weight", (10, 192), "classes 1000, but head.weight"),
    ],
)
def test_config_and_tensors_must_agree(name, shape, message):
    blocks = {f"blocks.{i}.norm1.bias": (192,) for i in range(12)} if "norm1" not in name else {}
    with pytest.raises(InputError, match=message):
        config("vit_tiny_patch16_224", blocks | {name: shape})


def test_headless_models_leave_the_head_out():
    small = {"embed_dim": 24, "depth": 1, "img_size": 16, "num_classes": 3}
    whole = config(model_args=small)
    source = {name: np.ones(shape) for name, shape in timm_shapes(whole, covered=1).items()}
    assert {"head.weight", "head.bias"} < source.keys()
    for differs in ({"num_classes": 0}, {"global_pool": ""}):
        settings = {"architecture": "vit_tiny_patch16_224", "pretrained_cfg": PREPROCESS, "model_args": small | differs}
        headless, arrays = port(TIMM, source, settings)
        assert headless.classes == 0 and arrays.keys() == shapes(whole).keys() - {"head.kernel", "head.bias"}


@cache
def timm_shapes(config, covered):
    """What the rules expect of timm: {name: shape}, of several spellings the first."""
    ours, done, theirs = unfolded(shapes(config), config, covered), set(), {}
    for rule in table(config):
        if rule.target in ours and rule.target not in done:
            done.add(rule.target)
            blocks = range(config.depth) if "{i}" in rule.source else [None]
            shape = ours[rule.target][0 if blocks == [None] else 1 :]
            theirs |= {rule.source.format(i=block): rule.layout.shape(shape) for block in blocks}
    assert done == set(ours)
    return theirs


def test_every_architecture_has_timm_s_arguments(timm, monkeypatch):
    from torch import nn

    named = set(timm.list_models(module="vision_transformer") + timm.list_models(module="deit"))
    assert named - UNSUPPORTED.keys() <= ARCHITECTURES.keys()
    defaults = {key: p.default for key, p in signature(timm.models.VisionTransformer.__init__).parameters.items()}
    defaults |= {"act_layer": "gelu", "norm_eps": 1e-6, "distilled": False}
    for module in (timm.models.vision_transformer, timm.models.deit):
        monkeypatch.setattr(module, "build_model_with_cfg", lambda cls, *_, **given: given | {"cls": cls})
    words = {timm.layers.Mlp: "mlp", timm.layers.SwiGLUPacked: "swiglu", nn.SiLU: "silu"}
    for name, row in ARCHITECTURES.items():
        given = timm.model_entrypoint(name)()
        given |= {"img_size": timm.get_pretrained_cfg(name).input_size[1]}
        given |= {"distilled": given["cls"] is timm.models.deit.VisionTransformerDistilled}
        if "norm_layer" in given:
            given["norm_eps"] = given["norm_layer"].keywords["eps"]
        given = {key: given.get(key, defaults[key]) for key in row}
        given |= {key: words.get(given[key], given[key]) for key in ("mlp_layer", "act_layer")}
        assert row == given, name


@pytest.mark.exhaustive
def test_every_architecture_has_timm_s_tensors(timm):
    import torch

    activations = {"GELU": "gelu", "GELUTanh": "gelu_tanh", "QuickGELU": "quick_gelu", "SiLU": "silu"}
    small = {"embed_dim": 32, "num_heads": 2, "mlp_ratio": 2, "depth": 2}
    small |= {"img_size": 8, "patch_size": 4, "num_classes": 3}
    for name in ARCHITECTURES:
        with torch.device("meta"):
            theirs = timm.create_model(name, **small)
        ours = config(name, model_args=small)
        covered = 0 if theirs.no_embed_class else theirs.num_prefix_tokens
        expected = {key: tuple(value.shape) for key, value in theirs.state_dict().items()}
        assert timm_shapes(ours, covered) == expected, name
        block = theirs.blocks[0]
        assert (ours.norm_eps, ours.activation) == (block.norm1.eps, activations[type(block.mlp.act).__name__]), name
