"""Runs a convolutional network of timm or torchvision and gives its activations by our names, and its gradient."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from converters.referees.parity import Reference
from vitjax.models.core.config import Preprocess

Site = tuple[str, int]  # a module's name, and 0 for what it read when it was last called, 1 for what it gave


def reference(model: Any, images: np.ndarray, preprocess: Preprocess) -> Reference:
    """Runs a model, in evaluation mode, on images [batch, height, width, 3] in [0, 1] of the model's dtype.

    The picked unit of each image is its largest logit.
    """
    import torch

    modules, kept, hooks = dict(model.named_modules()), {}, []
    for name, module in modules.items():  # copies, as activation functions write over what they read
        keep = lambda module, inputs, name=name: kept.__setitem__((name, 0), _copy(inputs[0]))
        gave = lambda module, inputs, output, name=name: kept.__setitem__((name, 1), _copy(output))
        hooks += [module.register_forward_pre_hook(keep), module.register_forward_hook(gave)]
    pixels = torch.tensor(images, requires_grad=True)
    mean, std = (torch.tensor(value, dtype=pixels.dtype) for value in (preprocess.mean, preprocess.std))
    logits = model(((pixels - mean) / std).permute(0, 3, 1, 2))
    for hook in hooks:
        hook.remove()
    units = logits.argmax(dim=1)
    logits.gather(1, units[:, None]).sum().backward()
    taps = {tap: kept[site] for tap, site in sites(modules).items()} | {"logits": logits.detach()}
    if "features.pre" in taps:  # torchvision's DenseNet has no module for its last activation function
        taps.setdefault("features", taps["features.pre"].relu())
    taps = {tap: (value.permute(0, 2, 3, 1) if value.ndim == 4 else value).numpy() for tap, value in taps.items()}
    return Reference(images, taps, units.numpy(), pixels.grad.numpy())


def sites(modules: dict[str, Any]) -> dict[str, Site]:
    """Finds where each of our taps is in a network with these modules."""
    rows = _resnet if "layer1" in modules else _densenet if "features.denseblock1" in modules else _mobilenet
    return dict(rows(modules))


def _copy(value: Any) -> Any:
    return value.detach().clone() if hasattr(value, "detach") else None


def _normed(name: str, modules: dict[str, Any]) -> Site:
    """What a norm gives; timm's often hold the activation function after it, and nothing in between but a dropout."""
    return (f"{name}.drop" if f"{name}.drop" in modules else name), 1


def _blocks(modules: dict[str, Any], form: str) -> Iterator[tuple[str, str]]:
    """Their blocks and ours, where theirs are named by stage and number in it, from 1 or from 0."""
    for stage in range(10):
        block = 0
        while (theirs := form.format(stage=stage, stage1=stage + 1, block=block, block1=block + 1)) in modules:
            yield theirs, f"stages.{stage}.blocks.{block}"
            block += 1


def _resnet(modules: dict[str, Any]) -> Iterator[tuple[str, Site]]:
    yield from {"stem.pre": ("bn1", 1), "stem": ("maxpool", 0), "pooled": ("fc", 0)}.items()
    for theirs, ours in _blocks(modules, "layer{stage1}.{block}"):
        last = f"{theirs}.act3" if f"{theirs}.act3" in modules else f"{theirs}.relu"
        yield from {
            f"{ours}.conv1.pre": (f"{theirs}.bn1", 1),
            f"{ours}.conv1.out": (f"{theirs}.conv2", 0),
            f"{ours}.conv2.pre": (f"{theirs}.bn2", 1),
            f"{ours}.conv2.out": (f"{theirs}.conv3", 0),
            f"{ours}.branch": (f"{theirs}.bn3", 1),
            f"{ours}.pre": (last, 0),
            f"{ours}.out": (theirs, 1),
        }.items()


def _densenet(modules: dict[str, Any]) -> Iterator[tuple[str, Site]]:
    yield from {
        "stem.pre": _normed("features.norm0", modules),
        "stem": ("features.pool0", 0),
        "features.pre": _normed("features.norm5", modules),
        "pooled": ("classifier", 0),
    }.items()
    if "global_pool" in modules:
        yield "features", ("global_pool", 0)
    for theirs, ours in _blocks(modules, "features.denseblock{stage1}.denselayer{block1}"):
        yield from {
            f"{ours}.conv1.pre": _normed(f"{theirs}.norm2", modules),
            f"{ours}.conv1.out": (f"{theirs}.conv2", 0),
            f"{ours}.pre": (f"{theirs}.conv2", 1),
            f"{ours}.out": (f"{theirs}.conv2", 1),
            f"{ours.partition('.blocks')[0]}.dense": (theirs.rpartition(".")[0], 1),
        }.items()


def _mobilenet(modules: dict[str, Any]) -> Iterator[tuple[str, Site]]:
    timm = "conv_stem" in modules
    norms = {"stem": "bn1", "features": "bn2"} if timm else {"stem": "features.0.1", "features": "features.18.1"}
    for tap, name in norms.items():
        yield f"{tap}.pre", _normed(name, modules)
        yield tap, (name if timm else name[:-1] + "2", 1)
    yield "pooled", ("classifier" if timm else "classifier.1", 0)
    for theirs, ours in _blocks(modules, "blocks.{stage}.{block}") if timm else _torchvision_blocks():
        wide = f"{theirs}.bn3" in modules if timm else f"{theirs}.conv.3" in modules
        for n in (1, 2) if wide else (2,):
            place = n if wide else n - 1
            name = f"{theirs}.bn{place}" if timm else f"{theirs}.conv.{place - 1}.1"
            yield f"{ours}.conv{n}.pre", _normed(name, modules)
            yield f"{ours}.conv{n}.out", (name if timm else name[:-1] + "2", 1)
        yield f"{ours}.branch", (f"{theirs}.bn{2 + wide}" if timm else f"{theirs}.conv.{2 + wide}", 1)
        yield f"{ours}.pre", (theirs, 1)
        yield f"{ours}.out", (theirs, 1)


def _torchvision_blocks() -> Iterator[tuple[str, str]]:
    """Torchvision numbers MobileNetV2's blocks through; table 2 of the paper says which are in a stage."""
    number = 1
    for stage, depth in enumerate((1, 2, 3, 4, 3, 3, 1)):
        for block in range(depth):
            yield f"features.{number}", f"stages.{stage}.blocks.{block}"
            number += 1
