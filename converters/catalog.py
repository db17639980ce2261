"""Writes the table of `vitjax models`: what is published on the hub that vitjax loads, with size and licence.

    python -m converters.catalog vitjax/weights/catalog.csv

Sources of the facts: timm's own list of pretrained checkpoints (names, input, licence); for checkpoints of transformers
`transformers.csv` beside this script, written down by hand; and this package's model of each (parameters, neurons). To
be run again when timm, the table, or the families that can be loaded change.

Size, input and licence of most rows of `transformers.csv` are what timm states of the same weights; a test holds them
together. Of the other twelve the pages of facebook/vit-mae-base (Apache-2.0 there, CC-BY-NC-4.0 in timm and its
authors' code), google/vit-base-patch16-224-in21k (Apache-2.0) and openai/clip-vit-large-patch14 (none stated) were
looked at; their larger and smaller siblings are taken to be alike, unverified. The input is what weights were trained
at: DINOv2 of transformers is loaded at what its processor says, 224 pixels.
"""

import argparse
import csv
import sys
from collections.abc import Iterator
from math import prod
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vitjax.models.registry import Config

COLUMNS = ("name", "family", "parameters", "image_size", "blocks", "neurons", "licence")
FAMILIES = {  # what the name of an architecture or its weights begins with or holds: who trained it how
    "dinov3": "DINOv3", "dinov2": "DINOv2", ".dino": "DINO", ".mae": "MAE", ".v2_webli": "SigLIP 2", "siglip": "SigLIP",
    "clip": "CLIP", "beit3": "BEiT 3", "deit3": "DeiT III", "deit": "DeiT", "beitv2": "BEiT v2", "beit": "BEiT",
    "eva02": "EVA-02", "eva": "EVA", "flexivit": "FlexiViT", "vit_pe": "Perception Encoder", "tipsv2": "TIPS",
    "coat_lite": "CoaT-Lite", "coat": "CoaT", "mixer": "MLP-Mixer", "resmlp": "ResMLP",
    "resnet": "ResNet", "mobilenetv2": "MobileNetV2", "densenet": "DenseNet",
    "swinv2": "Swin V2", "swin_s3": "Swin S3", "swin": "Swin", "twins": "Twins", "pvt_v2": "PVT v2", "convit": "ConViT",
    "pit_": "PiT", "levit": "LeViT",
}  # fmt: skip
TRANSFORMERS = Path(__file__).with_name("transformers.csv")
SIZES = {  # of transformers.csv: width, blocks, heads, width of the MLP
    "tiny": (192, 12, 3, 768),
    "small": (384, 12, 6, 1536),
    "base": (768, 12, 12, 3072),
    "large": (1024, 24, 16, 4096),
    "so400m": (1152, 27, 16, 4304),
    "huge": (1280, 32, 16, 5120),
    "giant-opt": (1536, 40, 16, 6144),
    "dino giant": (1536, 40, 24, 4096),
}
STATISTICS = ("norm.mean", "norm.variance")  # of batches, no parameters
SIZE_SETTINGS = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
HEADS = {  # what a head of n outputs is made of, in tensors that say so
    "classes": ("classifier.weight", "beit.pooler.layernorm.weight"),
    "classes twice": ("cls_classifier.weight", "distillation_classifier.weight", "deit.embeddings.distillation_token"),
    "embedding": ("visual_projection.weight",),
    "pooler": ("pooler.dense.weight",),
}


def main() -> int:
    """Runs the script and returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path, help="CSV file to write")
    args = parser.parse_args()
    with open(args.out, "w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows(rows())
    return 0


def rows() -> Iterator[tuple]:
    """Makes one row for each checkpoint of transformers.csv, and of timm on the hub that vitjax has a model for."""
    from converters.referees.timm_vit import import_timm

    with open(TRANSFORMERS, newline="") as file:
        yield from map(row_of_transformers, csv.DictReader(file))
    timm = import_timm()
    for name in timm.list_pretrained():
        if (timm.models.get_pretrained_cfg(name).hf_hub_id or "").startswith("timm/") and (found := row(timm, name)):
            yield found


def row(timm: ModuleType, name: str) -> tuple | None:
    """Gives the values of `COLUMNS` for one checkpoint of timm; None if vitjax has no model for it."""
    from vitjax.errors import InputError
    from vitjax.weights.families.timm.models import config

    pretrained = timm.models.get_pretrained_cfg(name)
    settings = {"architecture": name, "pretrained_cfg": pretrained.to_dict(), "num_classes": pretrained.num_classes}
    try:
        found = config(settings, {})
    except InputError:
        return None
    family = next((family for part, family in FAMILIES.items() if part in name), "ViT")
    return cells(f"timm/{name}", family, found, pretrained.license)


def row_of_transformers(stated: dict[str, str]) -> tuple:
    """Gives the values of `COLUMNS` for one row of transformers.csv."""
    from vitjax.weights.families.transformers.towers import config

    count, _, head = stated["head"].partition(" ") if stated["head"] != "pooler" else ("", "", "pooler")
    settings = dict(zip(SIZE_SETTINGS, SIZES[stated["size"]], strict=True))
    outputs = int(count or settings["hidden_size"])
    settings |= {name: int(stated[name]) for name in ("patch_size", "image_size")}
    settings |= {
        "model_type": stated["model_type"],
        "use_relative_position_bias": True,  # of BEiT
        "use_swiglu_ffn": stated["size"] == "dino giant",
        "preprocessor": {"image_mean": [0.5] * 3, "image_std": [0.5] * 3},
    }
    found = config(settings, {tensor: (outputs,) for tensor in HEADS.get(head, ())})
    return cells(stated["name"], stated["family"], found, stated["licence"])


def cells(name: str, family: str, config: "Config", licence: str) -> tuple:
    """Gives the values of `COLUMNS` for a model of this config."""
    from vitjax.models.registry import abstract
    from vitjax.units.units import matching
    from vitjax.weights import parameters

    shapes = parameters.shapes(config)
    count = sum(prod(shape) for tensor, shape in shapes.items() if not tensor.endswith(STATISTICS))
    size, model = "x".join(map(str, config.image_size)), abstract(config)
    taps = model.taps()
    neurons = [taps[tap].shape[-1] for tap in matching(model.neurons, taps)]
    return name, family, count, size, len(neurons), sum(neurons), licence


if __name__ == "__main__":
    sys.exit(main())
