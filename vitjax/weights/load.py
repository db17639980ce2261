"""Loads a model with its weights, from whatever the user typed."""

import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vitjax.errors import InputError
from vitjax.models.core.class_names import ClassNames
from vitjax.models.core.config import whole
from vitjax.models.core.network import Network
from vitjax.models.core.surroundings import standard
from vitjax.models.dictionaries.dictionary import Dictionary
from vitjax.models.dictionaries.directions import Directions
from vitjax.models.registry import Config
from vitjax.ranges import Range
from vitjax.weights import cache as disk
from vitjax.weights import parameters
from vitjax.weights.class_lists import class_names as listed_names
from vitjax.weights.class_lists import fitting, stated
from vitjax.weights.dictionaries.read import read_dictionary
from vitjax.weights.dtypes import DTYPES, named
from vitjax.weights.families.family import Family, Settings, arrays_of, config_of
from vitjax.weights.families.registry import family_of
from vitjax.weights.find.checkpoint import Opened, digest_of, digests_of, fetched, naming, opened
from vitjax.weights.find.source import Source, parse
from vitjax.weights.formats import orbax_folder as folders
from vitjax.weights.formats.names import PROVENANCE
from vitjax.weights.publish.converted import open_folder
from vitjax.weights.publish.provenance import Card
from vitjax.weights.rules.resize import Resampling, resized

_FEATURES = (Dictionary, Directions)  # what makes taps of a model's values
_Read = tuple[Config, Card, ClassNames, Resampling | None, dict[str, np.ndarray]]  # with its arrays in host memory
SIDE = Range(1, 2**14, whole=True)  # pixels of an image: positions for much more are no array that XLA makes
CACHED = 10**7  # bytes of weights: smaller files are converted faster than their conversion is read back


@standard()
def load(
    source: str | os.PathLike[str] = "demo",
    *,
    image_size: int | tuple[int, int] | None = None,
    dtype: str = "float32",
    device: jax.Device | jax.sharding.Sharding | None = None,
    revision: str | None = None,
    part: str | None = None,
    base: str | os.PathLike[str] | None = None,
    cache: bool = True,
    class_names: Sequence[str] | str | os.PathLike[str] | None = None,
    dictionaries: Sequence[str | os.PathLike[str] | Dictionary | Directions] = (),
) -> Network:
    """Loads a Vision Transformer or a convolutional network with its weights, from this package, the disk or the hub.

    Args:
        source: "demo" (comes with vitjax), a hub id `OWNER/NAME` or `OWNER/NAME@REVISION`, a file of weights
            (.safetensors, .npz, .pth, .pt, .bin, .ckpt, or the .index.json of several) with config.json beside it, or
            a folder with both, or one that `vitjax convert` wrote, or a LoRA adapter of PEFT's. Google's .npz, the .pth
            of DINO and of Swin, OpenAI's CLIP .pt and files of torchvision with its names (resnet50-0676ba61.pth, or
            resnet50.pth) need no config. What a training script put around the weights (`module.`, `state_dict`) is
            taken off.
        image_size: pixels, one side or (height, width), divisible by the patch if there is one; position embeddings are
            resampled as their source does. Default: that of the pictures which the checkpoint's own processor makes.
        dtype: of the weights and the arithmetic, "float32", "bfloat16", or "auto": bfloat16 where `device` multiplies
            that faster, as TPUs and NVIDIA's GPUs since A100 do, float32 elsewhere (`vitjax.weights.dtypes`).
        device: where the weights go, e.g. `jax.devices()[1]` or a `NamedSharding`; default JAX's default device.
        revision: branch, tag or commit on the hub; default the newest.
        part: which of several copies of the model in a training script's file, by the words before its names, e.g.
            "state_dict_ema"; default the average over steps, else "state_dict", as in timm. `source#part` says it too.
        base: the model that a LoRA adapter was trained on, anything that `source` may be; default what the adapter
            names, if that is on disk.
        cache: keep the converted weights of large files on disk (in VITJAX_CACHE, else the user's cache folder) for
            faster loads of the same file. The hub's own cache of downloads is not touched by this.
        class_names: what the head's classes are called, in its order, or a file that says it (see
            `vitjax.weights.class_lists`); default what the checkpoint's config states, which this overrules.
        dictionaries: of features, whose latents are taps of the model; each is one, or a text that says which file of
            which tap, "blocks.9.resid_post=sae.pt" (see `vitjax.weights.dictionaries.read`).

    Returns:
        The model: `model(images, reads=...)` takes images [batch, height, width, 3] in [0, 1]. `model.card` says where
        it came from: name, commit, sha256 of the file, licence; `model.class_names` what its classes are called, empty
        where nothing states it.

    Raises:
        InputError: in one line, an unknown name, a missing or damaged file, an architecture or tensors that do not
            fit, an image size that patches do not divide, no network and nothing cached, no access, names for more
            or fewer classes than the head has.
    """
    sharding, sides = _sharding(device), _sides(image_size)
    wanted = DTYPES[named(dtype, _device(sharding))]
    given = None if class_names is None else listed_names(class_names)
    features = [one if isinstance(one, _FEATURES) else read_dictionary(one) for one in _several(dictionaries)]
    found = fetched(parse(source, revision, part))
    if found.weights.name == PROVENANCE:
        if found.part or base:
            raise InputError(f"part= and base= have no meaning for {found.name}: it holds one converted model")
        config, card, names, how, arrays = _converted(found, sides, wanted, cache)
    else:
        config, card, names, how, arrays = _ported(found, opened(found, base), sides, wanted, cache)
    if given is not None:
        where = class_names if isinstance(class_names, str | os.PathLike) else "class_names"
        names = fitting(given, config.classes, os.fspath(where))
    placed = {  # each is given up when it has its place: two of everything would not fit everywhere
        name: jax.device_put(arrays.pop(name).astype(wanted, copy=False), sharding) for name in list(arrays)
    }
    model = parameters.build(config, placed)
    model.card, model.class_names, model.resampling = card, names, how
    return model.with_dictionary(*features) if features else model


def _converted(source: Source, sides: tuple[int, int] | None, dtype: Any, cache: bool) -> _Read:
    """Reads a folder that `vitjax convert` wrote."""
    if source.repo:
        digests_of(source, [source.weights.parent / file for file in folders.listed(source.weights)], remember=cache)
    config, card, names, arrays = open_folder(source.weights, dtype)
    if sides not in (None, config.image_size):
        raise InputError(f"{source.name} was converted for {config.image_size} pixels; convert it again for {sides}")
    return config, card, names, None, arrays


def _ported(source: Source, held: Opened, sides: tuple[int, int] | None, dtype: Any, cache: bool) -> _Read:
    """Ports a checkpoint of another library, or reads what the cache has of it."""
    tensors, settings = held
    with naming(source):
        family = family_of(settings)
        config = config_of(family, tensors, settings)
        names = stated(settings, config.classes)
        wanted = sized(config, sides)
        old, new = (parameters.grid_arrays(one) for one in (config, wanted))
        large = cache and tensors.size >= CACHED
        key = disk.Key(digest_of(source, tensors, large), config)
        card = _card(source, tensors.part, key, family, settings)
        kept = {  # from the cache: what will be resampled comes as it was trained
            name: jax.ShapeDtypeStruct(shape, jnp.float32 if old.get(name) != new.get(name) else dtype)
            for name, shape in parameters.shapes(config).items()
        }
        arrays = disk.restore(key, kept) if large else None
        if arrays is None:
            arrays = arrays_of(family, tensors, settings, config)
            if large:
                disk.store(key, arrays, asdict(card))
    how = family.resampling(settings)
    return wanted, card, names, how, resized(arrays, old, new, how)


def sized(config: Config, sides: tuple[int, int] | None = None) -> Config:
    """Gives the config at the image size that is asked for, else at that of the pictures that its processor makes.

    A model's own is another where it was trained at one size and is used at another (transformers' DINOv2: 518, 224).
    """
    made = config.preprocess.size
    image_size = sides or (whole(made, getattr(config, "patch_size", (1, 1))) if made else config.image_size)
    preprocess = replace(config.preprocess, size=None if sides else made).of(image_size)
    return replace(config, image_size=image_size, preprocess=preprocess)


def _card(source: Source, part: str, key: disk.Key, family: Family, settings: Settings) -> Card:
    return Card(
        source=f"{source.name}#{part}" if part else source.name,
        revision=source.revision or "",
        sha256=key.sha256,
        licence=family.licence(settings),
        architecture=family.architecture(settings),
        converter=f"{family.name}-{disk.CONVERTER}",
    )


def _several(dictionaries: Any) -> Sequence[Any]:
    return [dictionaries] if isinstance(dictionaries, (str, os.PathLike, *_FEATURES)) else dictionaries


def _sharding(device: jax.Device | jax.sharding.Sharding | None) -> jax.sharding.Sharding | None:
    if device is None or isinstance(device, jax.sharding.Sharding):
        return device
    if not isinstance(device, jax.Device):
        raise InputError(f"device={device!r} is neither a jax.Device, such as jax.devices()[0], nor a Sharding")
    return jax.sharding.SingleDeviceSharding(device)


def _device(sharding: jax.sharding.Sharding | None) -> jax.Device:
    """One of the devices where the weights go."""
    return next(iter(jnp.zeros(()).devices() if sharding is None else sharding.device_set))


def _sides(image_size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    if image_size is None:
        return None
    sides = image_size if isinstance(image_size, tuple | list) else (image_size, image_size)
    if len(sides) != 2 or isinstance(image_size, str):
        raise InputError(f"image_size={image_size!r} is neither one number of pixels nor (height, width)")
    return SIDE.check("image_size", sides[0]), SIDE.check("image_size", sides[1])
