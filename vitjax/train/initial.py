"""Makes the model that a training begins with: of a checkpoint, of a finished run, or of an architecture at random."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from vitjax.errors import InputError, nearest
from vitjax.files import read_json
from vitjax.models.core.class_names import NAMELESS, ClassNames
from vitjax.models.core.network import Network
from vitjax.models.registry import KINDS, Config
from vitjax.weights import parameters
from vitjax.weights.cache import rebuilt
from vitjax.weights.families.timm.models import CLASSES, by_name
from vitjax.weights.formats.names import PROVENANCE, RESULT
from vitjax.weights.load import load, sized

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}  # of an architecture's name alone
STD = 0.02  # of a new head's weights
STATISTICS = "variance"  # what a frozen batch norm has counted


def initial(
    name: str, image_size: tuple[int, int] | None = None, revision: str | None = None
) -> tuple[Config, Network | None]:
    """Gives a model's config, and the model, float32, where there are weights of it.

    Args:
        name: the folder of a run that is finished, or whatever `vitjax.load` takes; without weights a name of timm's,
            not a checkpoint's (swin_tiny_patch4_window7_224), or a .json file {"kind": "SwinConfig", "config": {…}}.
        image_size: (height, width), if another than the model's own.
        revision: of a hub id.

    Raises:
        InputError: there is no such model, the run is not finished, or the model counts statistics over batches, which
            are not learned here.
    """
    path, model = Path(os.path.expanduser(name)), None
    path = path / RESULT if (path / RESULT / PROVENANCE).exists() else path
    if path.suffix == ".json" and path.is_file() and not path.name.endswith(".index.json"):
        config = sized(_stated(path), image_size)
    elif name in CLASSES and not path.exists():
        config = by_name(name)
        config = sized(replace(config, preprocess=replace(config.preprocess, **IMAGENET)), image_size)
    elif (path / PROVENANCE).exists():  # which `load` takes at its own size alone
        model = load(path)
        config = sized(model.config, image_size)
        model = model if config == model.config else parameters.fitted(model, config)
    else:
        model = load(name, image_size=image_size, revision=revision)
        config = model.config
    if any(array.rpartition(".")[2] == STATISTICS for array in parameters.shapes(config)):
        raise InputError(f"{name} has norms over batches, whose statistics are not learned here: give a Transformer")
    return config, model


def with_classes(model: Network, names: ClassNames | int, seed: int = 0) -> Network:
    """Gives the model with a new head, or none.

    Args:
        model: whose other parameters are taken over.
        names: of the classes, or how many there are: 0 for no head.
        seed: of the head's weights, from a normal distribution; biases are zero.
    """
    count = names if isinstance(names, int) else len(names)
    config, bare = replace(model.config, classes=count), replace(model.config, classes=0)
    taken, rng = parameters.shapes(bare).keys(), np.random.default_rng(seed)
    arrays = {name: array for name, array in parameters.values(model).items() if name in taken}
    for name, shape in parameters.shapes(config).items():
        if name not in taken:
            arrays[name] = rng.normal(0, STD * (len(shape) > 1), shape).astype(np.float32)
    made = parameters.build(config, arrays)
    made.card, made.resampling = model.card, model.resampling
    made.class_names = NAMELESS if isinstance(names, int) else names
    return made


def _stated(path: Path) -> Config:
    """Reads a config as `provenance.json` of a converted model states it."""
    stated, kinds = read_json(path), {kind.__name__: kind for kind in KINDS}
    kind = str(stated.get("kind", "ViTConfig"))
    if kind not in kinds:
        raise InputError(f"{path}: unknown kind {kind!r}{nearest(kind, kinds)}; one of {', '.join(kinds)}")
    if not isinstance(stated.get("config"), dict):
        raise InputError(f'{path} states no config: {{"kind": "{kind}", "config": {{…}}}} would')
    try:
        return rebuilt(kinds[kind], stated["config"])
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except KeyError as error:
        (name,) = error.args
        close = nearest(str(name), kinds[kind].__dataclass_fields__)
        raise InputError(f"{path}: there is no field {name!r} in a {kind}{close}") from None
    except (TypeError, ValueError, AttributeError) as error:
        raise InputError(f'{path} is no config, {{"kind": …, "config": {{…}}}}: {error}') from None
