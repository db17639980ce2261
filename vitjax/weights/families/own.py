"""ViTs that were trained here: `config.json` says what they are in vitjax's words, tensors have timm's names.

No architecture of timm's has the sizes of the embedded model, and the nearest one's name would say what it is not.
"""

from typing import Any

from vitjax.models.core.class_names import ClassNames
from vitjax.models.core.config import ViTConfig
from vitjax.weights.cache import described, rebuilt
from vitjax.weights.families.family import Family, Settings, Shapes
from vitjax.weights.families.timm import plain

KEY = "vitjax"  # of the model's name in such a config.json


def record(name: str, config: ViTConfig, names: ClassNames, licence: str) -> dict[str, Any]:
    """Writes the `config.json` of a model that comes as `vitjax.weights.save.to_timm` gives its tensors."""
    labels = {"label_names": names.ids, "label_descriptions": dict(zip(names.ids, names, strict=True))}
    return {KEY: name, "license": licence, "config": described(config)} | labels


def config(settings: Settings, shapes: Shapes) -> ViTConfig:
    """Reads the model's config, every field of it."""
    return rebuilt(ViTConfig, settings["config"])


OWN = Family(
    name="vitjax",
    match=lambda settings: KEY in settings,
    config=config,
    table=lambda config, settings, shapes: plain.table(config),
    covered=lambda config, settings, shapes: config.prefix,
    marks={"patch_embed.proj.weight": ()},
    architecture=lambda settings: settings[KEY],
)
