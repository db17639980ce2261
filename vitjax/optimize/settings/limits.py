"""What every field of a recipe may be, and how a text is read as one."""

from typing import Any

from vitjax.errors import InputError
from vitjax.ranges import Range

CHOICES = {
    "parametrization": ("pixels", "fourier", "pyramid", "maco"),
    "optimizer": ("adam", "nadam", "nadam-rms", "lion", "sign", "muon"),
    "seen_shape": ("scattered", "window"),
    "color": ("divide", "multiply", "none"),
    "noise_shape": ("channel", "pixel"),
    "diversity_of": ("mean", "gram"),
}
TOKENS = ("patches", "class", "all")

# What every number of a recipe may be. Beyond these lies nonsense, or what float32 makes of it: infinite amplitudes
# (decay, color_strength), a mean that is divided by 1 - b = 0 (b1, b2), 0 / 0 (eps).
RANGES = {
    "steps": Range(1, 10**6, whole=True),
    "views": Range(1, 4096, whole=True),
    "decay": Range(0, 4),
    "learning_rate": Range(0, 1000),
    "b1": Range(0, 0.99999),
    "b2": Range(0, 0.99999),
    "eps": Range(1e-30, 1000),
    "floor": Range(1e-30, 1000),
    "seen": Range(0, 1, above=True),
    "scale": Range(-(10**6), 10**6),
    "total_variation": Range(0, 10**6),
    "color_strength": Range(0, 10),
    "noise": Range(0, 100),
    "jitter": Range(0, 10**4, whole=True),
    "variants": Range(1, 1024, whole=True),
    "diversity": Range(0, 10**6),
    "row": Range(1, 1024, whole=True),
    "row_shared": Range(0, 10**6),
}
FLAGS = ("before_activation", "color_anneal", "noise_anneal", "jitter_per_view")


def read(name: str, text: str, kind: type) -> Any:
    """Reads the text of a field of a type.

    Raises:
        InputError: it is none of these.
    """
    words = {"true": True, "false": False, "yes": True, "no": False}
    try:
        return words[text.lower()] if kind is bool else kind(text)
    except (KeyError, ValueError):
        raise InputError(f"recipe: {name} takes {kind.__name__}, not {text!r}") from None
