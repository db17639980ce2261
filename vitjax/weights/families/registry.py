"""Lists the families of checkpoints that are known, and finds out whose a checkpoint is."""

from pathlib import Path

from vitjax.errors import InputError
from vitjax.weights.families.big_vision import BIG_VISION
from vitjax.weights.families.dino import DINO
from vitjax.weights.families.family import Family, Settings
from vitjax.weights.families.google import GOOGLE
from vitjax.weights.families.open_clip import OPEN_CLIP
from vitjax.weights.families.openai import OPENAI
from vitjax.weights.families.originals.deit import DEIT
from vitjax.weights.families.originals.dtn import DTN
from vitjax.weights.families.originals.greenmim import GREENMIM
from vitjax.weights.families.originals.microsoft import MICROSOFT
from vitjax.weights.families.originals.pvt import PVT
from vitjax.weights.families.originals.t2t import T2T
from vitjax.weights.families.originals.ucsd import UCSD
from vitjax.weights.families.own import OWN
from vitjax.weights.families.timm.models import TIMM
from vitjax.weights.families.torchvision import TORCHVISION
from vitjax.weights.families.transformers.towers import TRANSFORMERS
from vitjax.weights.formats.tensors import Tensors
from vitjax.weights.rules.parts import Marks

# The first that knows a checkpoint has it.
FAMILIES: tuple[Family, ...] = (
    OWN,
    TIMM,
    TRANSFORMERS,
    OPEN_CLIP,
    BIG_VISION,
    GOOGLE,
    TORCHVISION,
    OPENAI,
    DINO,
    GREENMIM,
    MICROSOFT,
    PVT,
    T2T,
    UCSD,
    DEIT,
    DTN,
)


def known_as(settings: Settings) -> Family | None:
    """Finds out whose checkpoint has these settings; None if nobody's who is known."""
    return next((family for family in FAMILIES if family.match(settings)), None)


def family_of(settings: Settings) -> Family:
    """Finds out whose checkpoint has these settings.

    Raises:
        InputError: they are no family's.
    """
    if family := known_as(settings):
        return family
    raise InputError("config.json names neither an architecture of timm nor a model_type of transformers")


def settings_of_file(weights: Path, tensors: Tensors) -> Settings | None:
    """Gives the settings of a file that needs no `config.json` beside it; None if it is no such file.

    Args:
        weights: its path.
        tensors: what it holds.
    """
    found = (family.files(weights, tensors) for family in FAMILIES)
    return next((settings for settings in found if settings is not None), None)


def marks() -> Marks:
    """Lists the tensors that models of all families are known by: see `vitjax.weights.rules.parts`."""
    found: dict[str, tuple[str, ...]] = {}
    for family in FAMILIES:
        for mark, own in family.marks.items():
            found[mark] = (*found.get(mark, ()), *own)
    return found


def names() -> list[str]:
    """Lists what models are called in their libraries."""
    return [name for family in FAMILIES for name in family.names]
