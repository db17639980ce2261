"""Ports one `.pth` file of Swin or Swin V2, proves it against timm's own loader, writes it out and publishes it.

    python -m converters.port_swin swin_tiny_patch4_window7_224.pth --images photos/ --out ported/ --push OWNER/NAME

timm is the referee: it renames these files' tensors by itself, and its model of them is the one in use. What must agree
how far stands in `converters/port.py`.
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vitjax.models.hierarchical.swin import Swin
    from vitjax.weights.find.source import Source


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the script and returns its exit code."""
    from converters import port
    from vitjax.weights.families.originals.microsoft import MICROSOFT

    return port.main(__doc__, MICROSOFT, "a file of Swin or Swin V2, .pth", referee, arguments)


def referee(source: "Source", model: "Swin") -> tuple:
    """Loads the file as timm does."""
    import torch

    from converters.referees.swin import reference
    from converters.referees.timm_vit import import_timm

    import_timm()
    from timm.models import swin_transformer, swin_transformer_v2

    config, second = model.config, hasattr(model.config, "trained_windows")
    module = swin_transformer_v2 if second else swin_transformer
    more = {"pretrained_window_sizes": config.trained_windows} if second else {}
    theirs = (module.SwinTransformerV2 if second else module.SwinTransformer)(
        img_size=config.image_size,
        patch_size=config.patch_size[0],
        embed_dim=config.widths[0],
        depths=config.depths,
        num_heads=config.heads,
        window_size=config.windows,
        num_classes=config.classes,
        mlp_ratio=config.mlp_widths[0] / config.widths[0],
        qkv_bias=config.qkv_bias,
        **more,
    )
    tensors = torch.load(source.weights, weights_only=True)
    theirs.load_state_dict(module.checkpoint_filter_fn(tensors, theirs), strict=False)
    return theirs.eval(), reference


if __name__ == "__main__":
    sys.exit(main())
