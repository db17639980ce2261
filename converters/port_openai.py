"""Ports the image tower of one `.pt` file of OpenAI's CLIP, proves it against timm's own loader, publishes it.

    python -m converters.port_openai ViT-B-32.pt --images photos/ --out ported/ --push OWNER/NAME

timm is the referee: it renames these files' tensors by itself, and its activations can be read, those of the program in
the file cannot. `converters/port.py` says what must agree how far.
"""

import re
import sys
import warnings
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vitjax.models.vit import ViT
    from vitjax.weights.find.source import Source


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the script and returns its exit code."""
    from converters import port
    from vitjax.weights.families.openai import OPENAI

    return port.main(__doc__, OPENAI, "a file of OpenAI's CLIP with a Vision Transformer, .pt", referee, arguments)


def referee(source: "Source", model: "ViT") -> tuple:
    """Loads the file as timm does; its norm, here after pooling, timm has under another name."""
    import torch

    from converters.referees.timm_vit import alike, reference

    theirs = alike(model.config, num_classes=model.config.projection)
    from timm.models.vision_transformer import checkpoint_filter_fn

    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # TorchScript is, these files remain
        tensors = torch.jit.load(source.weights, map_location="cpu").float().state_dict()
    tensors = checkpoint_filter_fn(tensors, theirs)
    theirs.load_state_dict({re.sub(r"^norm\.", "fc_norm.", name): tensor for name, tensor in tensors.items()})
    return theirs.eval(), partial(reference, output="embedding")


if __name__ == "__main__":
    sys.exit(main())
