"""Makes the model that a training begins with: of a checkpoint, of a finished run, or of an architecture at random."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from flax import nnx

from vitjax.errors import InputError, nearest
from vitjax.files import read_json
from vitjax.models.core.class_names import NAMELESS, ClassNames
from vitjax.models.core.network import Network
from vitjax.models.registry import KINDS, Config, random
from vitjax.train.kept.identity import RECORD
from vitjax.train.task import Learned, Task
from vitjax.weights import parameters
from vitjax.weights.cache import rebuilt
from vitjax.weights.families.timm.models import CLASSES, by_name
from vitjax.weights.formats.names import PROVENANCE
from vitjax.weights.load import load, sized

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}  # of an architecture's name alone
RESULT = "model"  # of a run's folder: what came of it
STATISTICS = "variance"  # ends the name of what a batch norm has counted


def initial(
    name: str, image_size: tuple[int, int] | None = None, revision: str | None = None, seed: int = 0
) -> Network:
    """Gives a model, float32.

    Args:
        name: the folder of a run that is finished; a .json file that says {"kind": "SwinConfig", "config": {…}}, or a
            name of timm's without a checkpoint's (swin_tiny_patch4_window7_224), whose weights are random; or whatever
            `vitjax.load` takes.
        image_size: (height, width), if another than the model's own.
        revision: of a hub id.
        seed: of random weights.

    Raises:
        InputError: there is no such model, the run is not finished, or the model counts statistics over batches, which
            are not learned here.
    """
    path = Path(os.path.expanduser(name))
    if (path / RECORD).exists():
        if not (path / RESULT / PROVENANCE).exists():
            raise InputError(f"{name} is a training that is not finished: go on with it first")
        path = path / RESULT
    if path.suffix == ".json" and path.is_file() and not path.name.endswith(".index.json"):
        model = random(sized(_stated(path), image_size), seed)
    elif name in CLASSES and not path.exists():
        config = by_name(name)
        model = random(sized(replace(config, preprocess=replace(config.preprocess, **IMAGENET)), image_size), seed)
    elif (path / PROVENANCE).exists():
        model = load(path)
        config = sized(model.config, image_size)
        model = model if config == model.config else parameters.fitted(model, config)
    else:
        model = load(name, image_size=image_size, revision=revision)
    if any(array.endswith(STATISTICS) for array in parameters.shapes(model.config)):
        raise InputError(f"{name} has norms over batches, whose statistics are not learned here: give a Transformer")
    return model


def with_classes(model: Network, classes: int, names: ClassNames = NAMELESS, seed: int = 0) -> Network:
    """Gives the model with a new head, or none.

    Args:
        model: whose other parameters are taken over.
        classes: of the head; 0 for none.
        names: of the classes.
        seed: of the head's weights.
    """
    config, bare = replace(model.config, classes=classes), replace(model.config, classes=0)
    fresh, taken = random(config, seed), parameters.shapes(bare).keys()
    arrays = parameters.values(fresh) | {name: one for name, one in parameters.values(model).items() if name in taken}
    made = parameters.build(config, arrays)
    made.card, made.class_names, made.resampling = model.card, names, model.resampling
    return made


@dataclass(frozen=True)
class From:
    """A task that begins with a model that has been trained already.

    Attributes:
        task: as it would begin at random.
        model: that is taken in place of the random one.
    """

    task: Task
    model: Network

    def start(self, rngs: nnx.Rngs) -> Learned:
        """What is learned, with this model's weights."""
        learned = self.task.start(rngs)
        learned.model = self.model
        return learned

    def __getattr__(self, name: str) -> object:
        return getattr(self.task, name)


def _stated(path: Path) -> Config:
    """Reads a config as `provenance.json` of a converted model states it."""
    stated, kinds = read_json(path), {kind.__name__: kind for kind in KINDS}
    kind = stated.get("kind", "ViTConfig")
    if kind not in kinds:
        raise InputError(f"{path}: unknown kind {kind!r}{nearest(str(kind), kinds)}; one of {', '.join(kinds)}")
    try:
        return rebuilt(kinds[kind], stated["config"])
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f'{path} is no config, {{"kind": …, "config": {{…}}}}: {error}') from None
