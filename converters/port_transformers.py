"""Ports one checkpoint of Hugging Face transformers, proves it against transformers, writes it out and publishes it.

    python -m converters.port_transformers facebook/dinov2-small --images photos/ --out ported/ --push OWNER/NAME

`converters/port.py` says what must agree how far.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vitjax.models.core.network import Network
    from vitjax.weights.find.source import Source

VIT = "transformers_vit"
REFEREES = {  # the module that runs transformers' model of each other kind of ours
    "Swin": "transformers_swin",
    "SwinV2": "transformers_swin",
    "Levit": "transformers_levit",
    "Pvt": "transformers_pvt",
    "PvtV2": "transformers_pvt",
}
SOURCE = "a hub id OWNER/NAME, or a folder with model.safetensors, config.json and preprocessor_config.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the script and returns its exit code."""
    from converters import port
    from vitjax.weights.families.transformers.towers import TRANSFORMERS

    return port.main(__doc__, TRANSFORMERS, SOURCE, referee, arguments)


def referee(source: "Source", model: "Network") -> tuple:
    """Loads the checkpoint as transformers does, by the class that wrote it."""
    from converters.referees.timm_vit import import_timm

    import_timm()  # transformers imports torchvision, which needs the same help
    import transformers

    kind = getattr(transformers, model.card.architecture, transformers.AutoModel)
    name = REFEREES.get(type(model).__name__, VIT)
    how = {"attn_implementation": "sdpa"} if name == VIT else {}  # which others do not all have
    theirs = kind.from_pretrained(source.weights.parent, dtype="float32", **how)
    run = import_module(f"converters.referees.{name}").reference
    return theirs.eval(), run


if __name__ == "__main__":
    sys.exit(main())
