"""What timm publishes on the hub in, the rows of `vitjax models` out: those that vitjax loads, with size and licence.

    python converters/catalog.py vitjax/weights/catalog.csv

Sources of the facts: timm's own list of pretrained checkpoints (names, input, licence) and this package's model of each
(parameters, taps). To be run again when timm or the families that can be loaded change.
"""

import argparse
import csv
import sys
from collections.abc import Iterator
from math import prod
from pathlib import Path
from types import ModuleType

COLUMNS = ("name", "family", "parameters", "image_size", "blocks", "neurons", "licence")
FAMILIES = {  # what the name of an architecture or its weights begins with or holds: who trained it how
    "dinov3": "DINOv3", "dinov2": "DINOv2", ".dino": "DINO", ".mae": "MAE", ".v2_webli": "SigLIP 2", "siglip": "SigLIP",
    "clip": "CLIP", "beit3": "BEiT 3", "deit3": "DeiT III", "deit": "DeiT", "beitv2": "BEiT v2", "beit": "BEiT",
    "eva02": "EVA-02", "eva": "EVA", "flexivit": "FlexiViT", "vit_pe": "Perception Encoder", "tipsv2": "TIPS",
}  # fmt: skip


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
    """One row for each checkpoint of timm on the hub that vitjax has a model for."""
    from converters.timm_reference import import_timm

    timm = import_timm()
    for name in timm.list_pretrained():
        if (timm.models.get_pretrained_cfg(name).hf_hub_id or "").startswith("timm/") and (found := row(timm, name)):
            yield found


def row(timm: ModuleType, name: str) -> tuple | None:
    """The values of `COLUMNS` for one checkpoint of timm; None if vitjax has no model for it."""
    from vitjax.errors import InputError
    from vitjax.weights import rules
    from vitjax.weights.timm import config_from_timm

    pretrained = timm.models.get_pretrained_cfg(name)
    settings = {"architecture": name, "pretrained_cfg": pretrained.to_dict(), "num_classes": pretrained.num_classes}
    try:
        config = config_from_timm(settings, {})
    except InputError:
        return None
    family = next((family for part, family in FAMILIES.items() if part in name), "ViT")
    parameters = sum(map(prod, rules.shapes(config).values()))
    size = "x".join(map(str, config.image_size))
    neurons = config.depth * config.mlp_width
    return f"timm/{name}", family, parameters, size, config.depth, neurons, pretrained.license


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # not its own folder, in which `timm` is a script
    sys.exit(main())
