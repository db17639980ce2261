"""From image file to logits, here and by timm's and transformers' own pipelines, through every mode and flag they have.

`python -m tests.preprocessing WEIGHTS PHOTOS`, with a folder that holds ViT-Ti of timm and a zip or folder of
photographs, writes the table `preprocessing.csv` beside this file, of the first 20.
"""

import argparse
import csv
import io
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from PIL import Image
from safetensors.numpy import load_file, save_file

from converters.referees.timm_vit import import_timm
from tests.weights.test_parity_google import by_hugging_face
from vitjax.data.files.open import open_images
from vitjax.data.prepare import decode, prepare
from vitjax.models.core.preprocess import FILTERS, Preprocess
from vitjax.weights.families.registry import family_of
from vitjax.weights.find.checkpoint import open_tensors, settings_of
from vitjax.weights.find.source import parse
from vitjax.weights.load import load, sized

TABLE = Path(__file__).with_suffix(".csv")
NONE = Preprocess(mean=(0.0,) * 3, std=(1.0,) * 3)
TOLERANCE = 1e-5  # of the largest logit
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
WIDE = {"wide": True}  # at 5/7 of the model's height and 8/7 of its width

# Changes of a pretrained_cfg of timm; a rectangle is asked for where the model is loaded.
TIMM: dict[str, dict[str, Any]] = {
    "center": {},
    "center, mean and std of ImageNet": IMAGENET,
    "center, crop_pct 1": {"crop_pct": 1.0},
    "center, crop_pct 1.13": {"crop_pct": 1.13},
    "squash": {"crop_mode": "squash"},
    "squash, crop_pct 1": {"crop_mode": "squash", "crop_pct": 1.0},
    "squash, crop_pct 1.13": {"crop_mode": "squash", "crop_pct": 1.13},
    "border": {"crop_mode": "border"},
    "border, mean and std of ImageNet": {"crop_mode": "border", **IMAGENET},
    "border, crop_pct 1": {"crop_mode": "border", "crop_pct": 1.0},
    "border, crop_pct 1.13": {"crop_mode": "border", "crop_pct": 1.13},
    **{f"interpolation {name}": {"interpolation": name} for name in FILTERS if name != "bicubic"},
    "rectangle, center": WIDE,
    "rectangle, center, crop_pct 1.13": {"crop_pct": 1.13, **WIDE},
    "rectangle, squash": {"crop_mode": "squash", **WIDE},
    "rectangle, border": {"crop_mode": "border", **WIDE},
}  # fmt: skip

# By torchvision, for how far Pillow is from it.
FAST = ("ViT", "resample 3", "squeezed, then cropped", "CLIP", "DINOv3")


def transformers_cases(side: int) -> dict[str, tuple[str, dict[str, Any]]]:
    """{what it shows: class of transformers, settings} for a model of so many pixels."""
    more, less, square = side * 8 // 7 + 1, side * 3 // 4 - 1, {"height": side, "width": side}
    half = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    vit = lambda **settings: ("ViTImageProcessor", {"size": square, **settings})
    edge = lambda name, size=more, **settings: (name, {"size": size, "crop_size": side, **settings})
    crop = {"do_center_crop": True, "crop_size": square}
    return {
        "ViT": vit(),
        "do_normalize false": vit(do_normalize=False),
        "do_rescale false": vit(do_rescale=False),
        "do_rescale and do_normalize false": vit(do_rescale=False, do_normalize=False),
        "rescale_factor 1/127.5, do_normalize false": vit(rescale_factor=1 / 127.5, do_normalize=False),
        "rescale_factor 0.004": vit(rescale_factor=0.004),
        "image_mean and image_std as numbers": vit(image_mean=0.4, image_std=0.3),
        "image_mean and image_std of ImageNet": vit(image_mean=IMAGENET["mean"], image_std=IMAGENET["std"]),
        **{f"resample {number}": vit(resample=number) for number in (0, 1, 3, 4, 5)},
        "size as a number": ("ViTImageProcessor", {"size": side}),
        "size as a list": ("ViTImageProcessor", {"size": [side, side]}),
        "squeezed, then cropped": edge("DeiTImageProcessor"),
        "squeezed to a rectangle, then cropped": vit(size={"height": more, "width": side * 5 // 4}, **crop),
        "squeezed, then added to": edge("DeiTImageProcessor", less),
        "do_resize false, cropped": vit(do_resize=False, **crop),
        "default_to_square false, cropped": vit(size=more, default_to_square=False, **crop),
        "BEiT": ("BeitImageProcessor", {"size": side, "do_reduce_labels": True}),
        "BEiT, cropped": edge("BeitImageProcessor", do_center_crop=True),
        "CLIP": edge("CLIPImageProcessor", {"shortest_edge": side}),
        "CLIP, size as a number": edge("CLIPImageProcessor", more, **half),
        "CLIP, added to": edge("CLIPImageProcessor", {"shortest_edge": less}, **half),
        "CLIP, do_center_crop false, size squeezed": edge("CLIPImageProcessor", square, do_center_crop=False),
        "Chinese CLIP": edge("ChineseCLIPImageProcessor", {"shortest_edge": side}),
        "BiT (DINOv2)": edge("BitImageProcessor", {"shortest_edge": more}, image_mean=IMAGENET["mean"]),
        "SigLIP": ("SiglipImageProcessor", {"size": square}),
        "ConvNeXt": ("ConvNextImageProcessor", {"size": {"shortest_edge": side}, "crop_pct": 0.9}),
        "LeViT": edge("LevitImageProcessor", {"shortest_edge": side}),
        "EfficientNet": ("EfficientNetImageProcessor", {"size": square}),
        "EfficientNet, rescale_offset": ("EfficientNetImageProcessor", {
            "size": square, "rescale_offset": True, "rescale_factor": 1 / 127.5, "include_top": False}),
        "EfficientNet, rescale_offset, include_top, do_normalize false": ("EfficientNetImageProcessor", {
            "size": square, "rescale_offset": True, "rescale_factor": 1 / 127.5, "do_normalize": False,
            "image_std": [0.47853944, 0.4732864, 0.47434163]}),
    }  # fmt: skip


class Row(NamedTuple):
    """One comparison: the largest difference of a logit, and of how many photographs the first class is the same."""

    library: str
    case: str
    difference: float
    relative: float
    same: int
    photos: int


def row(library: str, case: str, ours: np.ndarray, theirs: np.ndarray) -> Row:
    """Compares logits [photograph, class]; `relative` is to the largest."""
    difference = np.abs(ours - theirs).max()
    same = int((ours.argmax(1) == theirs.argmax(1)).sum())
    return Row(library, case, float(difference), float(difference / np.abs(theirs).max()), same, len(ours))


def ours(folder: Path, photos: Sequence[bytes], image_size: tuple[int, int] | None = None) -> np.ndarray:
    """The logits of photographs, by a checkpoint as it is loaded here; its tensors and program are kept."""
    source = parse(folder)
    tensors = open_tensors(source.weights)
    settings = settings_of(source, tensors)
    model = _loaded(folder, image_size)
    model.config = sized(family_of(settings).config(settings, tensors.shapes), image_size)
    pixels = np.stack([prepare(decode(photo), model.config) for photo in photos])
    normal = model.normalise(pixels.astype(np.float32) / 255)
    model.config = replace(model.config, preprocess=NONE)  # it is done: all cases are one program then
    return np.asarray(_logits(model, normal))


@cache
def _loaded(folder: Path, image_size: tuple[int, int] | None):
    return load(folder, cache=False, image_size=image_size)


@jax.jit
def _logits(model, images):
    return model(images, ["logits"])["logits"]


def of_timm(timm: Any, folder: Path, photos: Sequence[bytes], case: str) -> Row:
    """One case of `TIMM`, on the model of timm in `folder`, whose config.json is rewritten."""
    import torch

    settings = json.loads((folder / "config.json").read_text())
    changes = {name: value for name, value in TIMM[case].items() if name != "wide"}
    settings["pretrained_cfg"] = _plain(settings["pretrained_cfg"]) | {"crop_pct": 0.9} | changes
    (folder / "config.json").write_text(json.dumps(settings))
    side = settings["pretrained_cfg"]["input_size"][1]
    size = (side * 5 // 7 // 16 * 16, side * 8 // 7 // 16 * 16) if "wide" in TIMM[case] else None
    model = timm.create_model(f"local-dir:{folder}", pretrained=True, **({"img_size": size} if size else {})).eval()
    data = timm.data.resolve_model_data_config(model) | ({"input_size": (3, *size)} if size else {})
    transform = timm.data.create_transform(**data, is_training=False)
    with torch.no_grad():
        theirs = model(torch.stack([transform(_opened(photo)) for photo in photos])).numpy()
    return row("timm", case, ours(folder, photos, size), theirs)


def of_transformers(
    model: Any, folder: Path, photos: Sequence[bytes], case: tuple[str, str, dict[str, Any]], backend: str = "pil"
) -> Row:
    """One case of `transformers_cases`, on a model of transformers and its `folder`, whose processor is rewritten."""
    import torch
    import transformers

    name, processor, settings = case
    (folder / "preprocessor_config.json").write_text(json.dumps(settings | {"image_processor_type": processor}))
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend=backend)
    with torch.no_grad():
        pixels = [processor(_opened(photo), return_tensors="pt")["pixel_values"].float() for photo in photos]
        theirs = model(torch.cat(pixels)).logits.numpy()
    library = {"pil": "transformers, Pillow", "torchvision": "transformers, torchvision"}[backend]
    return row(library, name, ours(folder, photos), theirs)


def to_transformers(source: Path, folder: Path) -> Path:
    """Writes a ViT of timm as one of transformers."""
    tensors = load_file(source / "model.safetensors")
    stated = json.loads((source / "config.json").read_text())
    width, blocks = len(tensors["norm.weight"]), {name.split(".")[1] for name in tensors if name.startswith("blocks.")}
    settings = {
        "model_type": "vit", "architectures": ["ViTForImageClassification"], "hidden_size": width,
        "num_hidden_layers": len(blocks), "num_attention_heads": 3,
        "intermediate_size": len(tensors["blocks.0.mlp.fc1.bias"]), "layer_norm_eps": 1e-6,
        "image_size": stated["pretrained_cfg"]["input_size"][1],
        "id2label": {str(i): f"LABEL_{i}" for i in range(len(tensors["head.bias"]))},
    }  # fmt: skip
    folder.mkdir(exist_ok=True)
    found = {name: np.ascontiguousarray(tensor) for name, tensor in by_hugging_face(tensors).items()}
    save_file(found, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(settings))
    return folder


def _plain(cfg: dict[str, Any]) -> dict[str, Any]:
    """A pretrained_cfg without what another case changed."""
    base = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "crop_mode": "center"}
    return cfg | base


def _opened(photo: bytes) -> Image.Image:
    return Image.open(io.BytesIO(photo)).convert("RGB")


def compare(timm: Any, transformers: Any, source: Path, photos: Sequence[bytes], say: Callable = print) -> list[Row]:
    """Every case, on one ViT of timm and the same as one of transformers."""
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        here = Path(scratch) / "timm"
        here.mkdir()
        for name in ("config.json", "model.safetensors"):
            (here / name).write_bytes((source / name).read_bytes())
        there = to_transformers(source, Path(scratch) / "transformers")
        side = json.loads((source / "config.json").read_text())["pretrained_cfg"]["input_size"][1]
        for case in TIMM:
            rows.append(of_timm(timm, here, photos, case))
            say(*rows[-1])
        model = transformers.ViTForImageClassification.from_pretrained(there).eval()
        cases = transformers_cases(side)
        todo = [("pil", name, *case) for name, case in cases.items()]
        todo += [("torchvision", name, *cases.get(name, ("DINOv3ViTImageProcessor", {"size": side}))) for name in FAST]
        for backend, *case in todo:
            rows.append(of_transformers(model, there, photos, case, backend))
            say(*rows[-1])
    return rows


def main() -> None:
    """Writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path, help="a folder with ViT-Ti as timm keeps it on the hub")
    parser.add_argument("photos", type=Path, help="a zip or folder of photographs")
    asked = parser.parse_args()
    timm = import_timm()
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    images = open_images(asked.photos)
    rows = compare(timm, transformers, asked.weights, [images.read(place) for place in range(20)])
    with TABLE.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(Row._fields)
        table.writerows((*found[:2], f"{found.difference:.2g}", f"{found.relative:.2g}", *found[4:]) for found in rows)


if __name__ == "__main__":
    main()
