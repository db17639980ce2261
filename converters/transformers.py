"""Ports one checkpoint of Hugging Face transformers, proves it against transformers, writes it out and publishes it.

    python converters/transformers.py facebook/dinov2-small --images photos/ --out ported/ --push OWNER/NAME

What must agree how far stands in `converters/port.py`.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vitjax.models.vit import ViT
    from vitjax.weights.find.source import Source

SOURCE = "a hub id OWNER/NAME, or a folder with model.safetensors, config.json and preprocessor_config.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the script and returns its exit code."""
    from converters import port

    return port.main(__doc__, "transformers", SOURCE, referee, arguments)


def referee(source: "Source", model: "ViT") -> tuple:
    """The checkpoint as transformers loads it, by the class that wrote it."""
    from converters.hf_reference import reference
    from converters.timm_reference import import_timm

    import_timm()  # transformers imports torchvision, which needs the same help
    import transformers

    kind = getattr(transformers, model.card.architecture, transformers.AutoModel)
    theirs = kind.from_pretrained(source.weights.parent, dtype="float32", attn_implementation="sdpa")
    return theirs.eval(), reference


if __name__ == "__main__":
    # A script's own folder comes first in the search path, and there `transformers` would be this file.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    sys.exit(main())
