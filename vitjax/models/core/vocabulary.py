"""How taps and units are spelled, known without importing JAX."""

import re
from typing import NamedTuple

from vitjax.errors import InputError

NUMBERS = re.compile(r"[\d,\-.*]+(#\d{1,9})?")  # an index without names
PATCH = re.compile(r"patch ([0-9]{1,9})")  # one patch token, row by row
SCALE = re.compile(r"(?<=\.)scale\d+\.")  # in the tap of a block that runs on several scales at once: which
FILE = r"(?!-)[^\s:()+'\"]+\.npz"  # of directions, in place of a tap; a minus before it is none of its letters
UNCALLED = re.compile(r"(?!.*\s[-+*/]\s)[^:]*[\s()+'\"][^:]*\.npz(:.*)?")  # one whose path cannot stand there
LOGITS = "logits"  # the tap whose units are classes, which may be called by name
BY_OPTION = (
    "a file of directions with blanks, quotes, + or parentheses in its path is given by --dictionary, and its units are"
    " TAP.directions@NAME:INDEX"
)
_LATENTS = re.compile(r"\.(sae|sae_pre|cells|directions)(@.*)?$")  # how taps end that tell of another tap's value
_TAP = re.compile(r"^(?:stages\.(\d+)\.)?(?:blocks\.(\d+)\.)?(?:scale\d+\.)?(.+)$")


class TapName(NamedTuple):
    """A tap's name in parts: the numbers of its stage and block, None outside of any, and its name there.

    The name does not say which scale it is of, where a block runs on several.
    """

    stage: int | None
    block: int | None
    name: str


def split_tap(tap: str) -> TapName:
    """Splits a tap's name: `stages.2.blocks.5.mlp.hidden` is (2, 5, "mlp.hidden"), `norm` is (None, None, "norm")."""
    stage, block, name = _TAP.match(tap).groups()
    return TapName(*(None if number is None else int(number) for number in (stage, block)), name)


def host(tap: str) -> str:
    """The tap that latents of a dictionary, directions, or cells of activations are read from; else the tap itself.

    Pictures for either take the same steps of about the same cost, and models as such know no latents.
    """
    return _LATENTS.sub("", tap)


def split_unit(text: str) -> tuple[str, str]:
    """Splits a unit set `TAP:INDEX` into its two parts, without asking whether a model has them.

    INDEX is in numbers, but for classes, which may also be called by name: `logits:golden retriever`.
    """
    tap, colon, index = str(text).partition(":")
    by_name = tap == LOGITS and index.strip()
    if not tap or not colon or not (NUMBERS.fullmatch(index) or by_name):
        raise InputError(no_unit(str(text)))
    return tap, index


def no_unit(text: str) -> str:
    """What is said of a text that is no unit: how one is written, of a file of directions with its name, if it can."""
    if UNCALLED.fullmatch(text):
        return f"{text!r} is no unit: {BY_OPTION}"
    like = f"{text}:*" if re.fullmatch(FILE, text) else "blocks.5.mlp.hidden:0-63"
    return f"{text!r} is no unit: write TAP:INDEX, e.g. {like}"
