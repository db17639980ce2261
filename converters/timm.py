"""Ports one checkpoint of timm, proves it against timm at every activation, writes it out and publishes it.

    python converters/timm.py timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k --images photos/ --out ported/
    python converters/timm.py ./my_vit --images photos.zip --out ported/ --push OWNER/NAME

What must agree how far stands in `converters/port.py`.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vitjax.models.core.network import Network
    from vitjax.weights.find.source import Source

SOURCE = "a hub id timm/NAME, or a folder with model.safetensors and config.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the script and returns its exit code."""
    from converters import port

    return port.main(__doc__, "timm", SOURCE, referee, arguments)


def referee(source: "Source", model: "Network") -> tuple:
    """The checkpoint as timm loads it."""
    from converters import convnet_reference, timm_reference
    from vitjax.models.vit import ViT

    theirs = timm_reference.import_timm().create_model(f"local-dir:{source.weights.parent}", pretrained=True)
    return theirs.eval(), (timm_reference if isinstance(model, ViT) else convnet_reference).reference


if __name__ == "__main__":
    # A script's own folder comes first in the search path, and there `timm` would be this file.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    sys.exit(main())
