"""Convolutional networks: every activation and gradient as in timm and torchvision, files, taps, units and pictures."""

import json
import re
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

import vitjax
from converters.referees.parity import EXACT, GRADIENT, TOLERANCE, output_errors, relative_errors
from converters.referees.torch_convnet import reference
from tests.support import small
from vitjax.errors import InputError
from vitjax.models.convnets.mobilenet import MobileNetV2Config
from vitjax.models.convnets.resnet import ResNetConfig
from vitjax.models.core.execution import Execution
from vitjax.optimize.schedule.sizes import at_size
from vitjax.units.units import expand, matching
from vitjax.weights.families.family import port
from vitjax.weights.families.timm import convnets
from vitjax.weights.families.timm import models as timm_models
from vitjax.weights.families.timm.convnet_architectures import CONVNETS, TORCHVISION
from vitjax.weights.load import load
from vitjax.weights.parameters import build, shapes, stacks
from vitjax.weights.rules.convert import convert

IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "input_size": [3, 64, 64]}
TIMM = {  # architecture: arguments that make it small
    "resnet50": {"layers": [1, 2, 1, 1]},
    "mobilenetv2_100": {},
    "densenet121": {"block_config": [2, 1, 1, 2]},
}


def random_like(theirs, seed=0):
    """A torch model with every norm drawn at random, running statistics too, in evaluation mode."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    for name, tensor in theirs.state_dict().items():
        noise = torch.randn(tensor.shape, generator=generator)
        if name.endswith("running_var"):
            tensor.copy_(torch.exp(0.5 * noise))
        elif re.search(r"(running_mean|bias)$", name):
            tensor.copy_(0.3 * noise)
        elif tensor.ndim == 1:
            tensor.copy_(1 + 0.3 * noise)
        elif tensor.ndim == 4:
            tensor.copy_(noise / tensor[0].numel() ** 0.5)
    return theirs.eval()


def tensors(theirs):
    """The model's tensors by their names, counts of batches among them."""
    return {name: tensor.numpy() for name, tensor in theirs.state_dict().items()}


def check(model, theirs):
    """Asserts that every activation agrees in float32, and output and gradient in float64.

    Rounding decides the sign of some unit before its ReLU, where the gradient jumps: in float32 it is no measure.
    """
    images = np.random.default_rng(1).random((1, *model.config.image_size, 3))
    single = relative_errors(model, reference(theirs, images.astype(np.float32), model.config.preprocess))
    assert set(single) == {*model.taps(), GRADIENT}
    del single[GRADIENT]
    assert max(single.values()) <= TOLERANCE, max(single.items(), key=lambda item: item[1])
    assert max(output_errors(model, reference(theirs.double(), images, model.config.preprocess)).values()) <= EXACT


@pytest.fixture(scope="module")
def of_torchvision(timm):
    """Torchvision's models by name, small ones of its own classes."""
    from torchvision.models.densenet import DenseNet
    from torchvision.models.resnet import Bottleneck, ResNet

    return {
        "resnet50": lambda: ResNet(Bottleneck, [1, 1, 2, 1], num_classes=7),
        "densenet121": lambda: DenseNet(32, (1, 2, 1, 1), 64, num_classes=7),
    }


@pytest.mark.representatives("resnet50")
@pytest.mark.parametrize("architecture", TIMM)
def test_parity_with_timm(timm, architecture):
    arguments = {**TIMM[architecture], "num_classes": 7}
    theirs = random_like(timm.create_model(architecture, **arguments))
    config = {"architecture": f"{architecture}.a1_in1k", "model_args": arguments, "pretrained_cfg": IMAGENET}
    check(build(*port(timm_models.TIMM, tensors(theirs), config)), theirs)


@pytest.mark.representatives("densenet121")
@pytest.mark.parametrize("name", ["resnet50", "densenet121"])
def test_parity_with_torchvision(of_torchvision, name):
    theirs = random_like(of_torchvision[name]())
    depths = {"resnet50": {"layers": (1, 1, 2, 1)}, "densenet121": {"block_config": (1, 2, 1, 1)}}
    row = CONVNETS[TORCHVISION[name]] | depths.get(name, {})
    config = convnets.config_from(row, image_size=(64, 96), classes=7)
    table = convnets.table(config, convnets.BY_TORCHVISION)
    check(build(config, convert(tensors(theirs), table, shapes(config), stacks(config))), theirs)


@pytest.mark.exhaustive
def test_every_architecture_has_its_sources_tensors(timm):
    import torch
    from torchvision import models

    with torch.device("meta"):
        sources = {name: [(timm.create_model(name), convnets.BY_TIMM)] for name in CONVNETS}
        for theirs, ours in TORCHVISION.items():
            sources[ours].append((models.get_model(theirs), convnets.BY_TORCHVISION))
    for name, both in sources.items():
        config = convnets.config_from(CONVNETS[name])
        known = shapes(config)
        for model, namings in both:
            names = dict(model.state_dict())
            table = [rule for rule in convnets.table(config, namings) if rule.target in known]
            found = {rule.source: rule.target for rule in table if rule.source in names}
            assert set(found) == {name for name in names if not name.endswith("num_batches_tracked")}
            assert sorted(found.values()) == sorted(known)
            assert all(tuple(names[rule.source].shape) == rule.layout.shape(known[rule.target]) for rule in table
                       if rule.source in names)  # fmt: skip


@pytest.fixture(scope="module")
def resnet():
    """A small random ResNet."""
    return small.convnet(ResNetConfig(image_size=(64, 64), classes=7, depths=(1, 2, 1, 1)))


def test_a_folder_of_timm(timm, tmp_path):
    theirs = random_like(timm.create_model("resnet50", layers=[1, 1, 1, 1], num_classes=7))
    save_file(tensors(theirs), tmp_path / "model.safetensors")
    config = {"architecture": "resnet50", "num_classes": 7, "model_args": {"layers": [1, 1, 1, 1]}}
    (tmp_path / "config.json").write_text(json.dumps(config | {"pretrained_cfg": IMAGENET}))
    model = load(tmp_path, cache=False)
    assert model.config.image_size == (64, 64) and model.card.architecture == "resnet50"
    assert load(tmp_path, image_size=(96, 64), cache=False).taps()["stem"].shape == (48, 32, 64)
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_classes": 5, "pretrained_cfg": IMAGENET}))
    with pytest.raises(InputError, match="says 5 classes, the tensors of the classifier hold 7"):
        load(tmp_path, cache=False)


def test_a_file_of_torchvision_is_known_by_its_name(timm, tmp_path):
    import torch
    from torchvision import models

    theirs = random_like(models.mobilenet_v2(num_classes=7))
    for ending, crop in {"-b0353104": 0.875, "-7ebf99e0": 224 / 232, "": 0.875}.items():
        torch.save(theirs.state_dict(), tmp_path / f"mobilenet_v2{ending}.pth")
        model = load(tmp_path / f"mobilenet_v2{ending}.pth", image_size=64, cache=False)
        assert model.config.preprocess.crop == crop and model.config.classes == 7
        assert model.card.architecture == "mobilenet_v2"
    with torch.no_grad():
        images = torch.rand(1, 64, 64, 3)
        mean, std = (torch.tensor(IMAGENET[key]) for key in ("mean", "std"))
        logits = theirs(((images - mean) / std).permute(0, 3, 1, 2)).numpy()
    np.testing.assert_allclose(
        small.read(model, images.numpy(), reads="logits")["logits"], logits, atol=1e-5 * abs(logits).max()
    )


def test_old_names_of_densenets_layers():
    config = convnets.config_from(CONVNETS["densenet121"] | {"block_config": (1, 1, 1, 1)}, image_size=(32, 32))
    wanted, table = shapes(config), convnets.table(config, convnets.BY_TORCHVISION)
    names = {rule.source: rule for rule in table if rule.target in wanted}
    old = {name for name in names if not re.search(r"denselayer\d+\.(norm|conv)\d", name)}
    source = {name: np.full(names[name].layout.shape(wanted[names[name].target]), 0.5, np.float32) for name in old}
    arrays = convert(source, table, wanted, stacks(config))
    assert all((array == 0.5).all() for array in arrays.values()) and arrays.keys() == wanted.keys()
    del source["features.denseblock1.denselayer1.norm.1.weight"]
    with pytest.raises(InputError, match=r"missing tensors: features\.denseblock1\.denselayer1\.norm"):
        convert(source, table, wanted, stacks(config))


def test_the_forward_pass_stops_at_the_last_tap(resnet):
    tap, images = "stages.0.blocks.0.out", jnp.zeros((1, 64, 64, 3))
    some = jax.make_jaxpr(lambda images: resnet(images, tap))(images)
    assert str(some).count("conv_general_dilated") == 5  # the stem and one block with its shortcut
    for reads, edits, said in (
        (tap, {"logits": lambda x: x}, "no effect"),
        ("stages.0.blocks.0.ou", {}, r"unknown tap 'stages.0.blocks.0.ou'.*stages.0.blocks.0.out"),
    ):
        with pytest.raises(InputError, match=said):
            jax.eval_shape(lambda images, reads=reads, edits=edits: resnet(images, reads, edits), images)


def test_edits_and_remat(resnet):
    images = jnp.asarray(np.random.default_rng(0).random((1, 64, 64, 3)), jnp.float32)
    reads, nothing = ["stages.1.blocks.0.out", "stages.1.blocks.1.pre"], {"stages.1.blocks.1.branch": jnp.zeros_like}
    np.testing.assert_array_equal(*jax.jit(lambda model: model(images, reads, nothing))(resnet).values())

    def gradient(remat):
        total = lambda images, model: model(images, reads[1], execution=Execution(remat=remat))[reads[1]].sum()
        return jax.jit(jax.grad(total))(images, resnet)

    plain, again = gradient(False), gradient(True)
    np.testing.assert_allclose(plain, again, atol=1e-5 * float(abs(plain).max()))
    again = lambda images: resnet(images, reads[1], execution=Execution(remat=True))
    assert "remat" in str(jax.make_jaxpr(again)(images))


def test_units_are_channels(resnet):
    taps = resnet.taps()
    assert str(expand("stages.1.blocks.0.out:17", taps)[0]) == "stages.1.blocks.0.out:17"
    assert matching("stages.*.blocks.*.out", taps) == [f"stages.{s}.blocks.{b}.out" for s, b in
                                                       ((0, 0), (1, 0), (1, 1), (2, 0), (3, 0))]  # fmt: skip
    assert matching("stages.1.blocks.*.pre", taps) == ["stages.1.blocks.0.pre", "stages.1.blocks.1.pre"]
    for wrong, said in {
        "stages.4-5.blocks.0.out:0": "stages has 4",
        "stages.1.blocks.2-3.out:0": "stages.1.blocks has 2",
        "stages.1.blocks.0.out:512": "has 512",
        "stages.1.blocks.0.out:1.2": "stages.1.blocks.0.out:CHANNEL",
        "blocks.*.mlp.hidden:0": "unknown tap",
    }.items():
        with pytest.raises(InputError, match=re.escape(said)):
            expand(wrong, taps)


@pytest.mark.exhaustive
def test_a_picture_is_better_than_its_start(resnet):
    tap, resnet = "stages.0.blocks.0.out", at_size(resnet, replace(resnet.config, image_size=(32, 32)))
    pictures = vitjax.visualize(resnet, f"{tap}:3,9", steps=8, views=1, jitter=2, color="none", noise=0, stages=())
    assert pictures.images.shape == (2, 32, 32, 3)
    reached = pictures.history["activation"]
    assert (reached[:, -1] > reached[:, 0] + 0.2 * abs(reached[:, 0])).all()
    values = np.asarray(small.read(resnet, pictures.images / np.float32(255), reads=tap)[tap])
    np.testing.assert_allclose(pictures.activation, values.mean(axis=(1, 2))[[0, 1], [3, 9]], rtol=1e-4)


def test_what_a_recipe_cannot_ask_of_a_map(resnet):
    for change, said in {
        "class": "no class token",
        "patch 3": "maps of this model have different sizes",
    }.items():
        with pytest.raises(InputError, match=said):
            vitjax.visualize(resnet, "stages.1.blocks.1.out:3", tokens=change)
    with pytest.raises(InputError, match=r"seen=0\.5"):
        vitjax.visualize(resnet, "stages.1.blocks.1.out:3", seen=0.5)


def test_bfloat16_and_small_images(resnet):
    half = jax.eval_shape(lambda model: jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), model), resnet)
    found = jax.eval_shape(lambda model, images: model(images, ["stem", "logits"]), half, jnp.zeros((1, 64, 64, 3)))
    assert {value.dtype for value in found.values()} == {jnp.dtype(jnp.bfloat16)}
    with pytest.raises(InputError, match="height 16 is too small"):
        replace(MobileNetV2Config(), image_size=(16, 64))
