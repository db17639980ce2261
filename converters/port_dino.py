"""Ports one `.pth` file of DINO or DINOv2, proves it against timm's own loader, writes it out and publishes it.

    python -m converters.port_dino dinov2_vits14_pretrain.pth --images photos/ --out ported/ --push OWNER/NAME

timm is the referee: it renames these files' tensors by itself, and its model of them is the one in use. It does not
know the names of training runs (a teacher's backbone, chunks of blocks). What must agree how far stands in
`converters/port.py`.
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vitjax.models.vit import ViT
    from vitjax.weights.find.source import Source


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the script and returns its exit code."""
    from converters import port
    from vitjax.weights.families.dino import DINO

    return port.main(__doc__, DINO, "a file of DINO or DINOv2, .pth", referee, arguments)


def referee(source: "Source", model: "ViT") -> tuple:
    """Loads the file as timm does."""
    import torch

    from converters.referees.timm_vit import alike, reference
    from vitjax.errors import InputError

    theirs = alike(model.config, no_embed_class=model.config.registers > 0)
    from timm.models.vision_transformer import checkpoint_filter_fn

    tensors = torch.load(source.weights, weights_only=True)
    try:
        theirs.load_state_dict(checkpoint_filter_fn(tensors, theirs))
    except RuntimeError:
        raise InputError(f"timm does not know the names in {source.name}: there is nothing to compare") from None
    return theirs.eval(), reference


if __name__ == "__main__":
    sys.exit(main())
