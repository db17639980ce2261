"""Ports one `.npz` file of Google's ViTs, proves it against timm's own loader, writes it out and publishes it.

    python -m converters.port_google B_16.npz --images photos/ --out ported/ --push OWNER/NAME

timm is the referee, as its conversion of these files is the one in use; with a pre-logits layer, which timm leaves
out, there is none. `converters/port.py` says what must agree how far.
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
    from vitjax.weights.families.google import GOOGLE

    return port.main(__doc__, GOOGLE, "a file of Google's, .npz", referee, arguments)


def referee(source: "Source", model: "ViT") -> tuple:
    """Loads the file as timm does."""
    from converters.referees.timm_vit import alike, reference
    from vitjax.errors import InputError

    if model.config.pre_logits:
        raise InputError(f"{source.name} has a pre-logits layer, which timm leaves out: there is nothing to compare")
    theirs = alike(model.config)
    theirs.load_pretrained(str(source.weights))
    return theirs.eval(), reference


if __name__ == "__main__":
    sys.exit(main())
