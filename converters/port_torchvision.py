"""Ports one of torchvision's convolutional networks, proves it against torchvision, writes it out and publishes it.

    python -m converters.port_torchvision resnet50-0676ba61.pth --images photos/ --out ported/ --push OWNER/NAME

The file's name says which of torchvision's models it is of. `converters/port.py` says what must agree how far.
"""

import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vitjax.models.core.network import Network
    from vitjax.weights.find.source import Source

OLD = re.compile(r"(denselayer\d+\.(?:norm|conv))\.")  # names in DenseNet's files, which torchvision mends itself


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the script and returns its exit code."""
    from converters import port
    from vitjax.weights.families.torchvision import TORCHVISION

    return port.main(__doc__, TORCHVISION, "a file of torchvision, NAME-HASH.pth", referee, arguments)


def referee(source: "Source", model: "Network") -> tuple:
    """Loads the file as torchvision does."""
    import torch

    from converters.referees.timm_vit import import_timm
    from converters.referees.torch_convnet import reference

    import_timm()  # torchvision needs the same help
    from torchvision.models import get_model

    theirs = get_model(model.card.architecture, num_classes=model.config.classes)
    tensors = torch.load(source.weights, weights_only=True)
    theirs.load_state_dict({OLD.sub(r"\1", name): tensor for name, tensor in tensors.items()})
    return theirs.eval(), reference


if __name__ == "__main__":
    sys.exit(main())
