"""Ports one checkpoint of timm, proves it against timm at every activation, writes it out and publishes it.

    python -m converters.port_timm timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k --images photos/ --out ported/
    python -m converters.port_timm ./my_vit --images photos.zip --out ported/ --push OWNER/NAME

`converters/port.py` says what must agree how far.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vitjax.models.core.network import Network
    from vitjax.weights.find.source import Source

CONVNETS = "torch_convnet"
REFEREES = {  # the module that runs timm's model of each kind of ours
    "ViT": "timm_vit",
    "Convit": "convit",
    "Swin": "swin",
    "SwinV2": "swin",
    "Coat": "coat",
    "Mixer": "mixer",
    "Levit": "levit",
    "Pit": "pit",
    "Twins": "twins",
    "PvtV2": "pvt",
}
SOURCE = "a hub id timm/NAME, or a folder with model.safetensors and config.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the script and returns its exit code."""
    from converters import port
    from vitjax.weights.families.timm.models import TIMM

    return port.main(__doc__, TIMM, SOURCE, referee, arguments)


def referee(source: "Source", model: "Network") -> tuple:
    """Loads the checkpoint as timm does."""
    from converters.referees.timm_vit import import_timm

    theirs = import_timm().create_model(f"local-dir:{source.weights.parent}", pretrained=True)
    run = import_module(f"converters.referees.{REFEREES.get(type(model).__name__, CONVNETS)}").reference
    return theirs.eval(), run


if __name__ == "__main__":
    sys.exit(main())
