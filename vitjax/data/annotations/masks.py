"""Reads masks of the objects in images: which object every pixel shows, and with it every patch.

Masks come as PASCAL VOC keeps them (SegmentationObject, Annotations), as COCO's JSON, as PNG files whose pixels are
class ids (`NAME.png` or, beside the images, `NAME_mask.png`), or as boxes. Where objects overlap, the smaller is in
front.
"""

import io
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int, UInt8
from PIL import Image

from vitjax.data.annotations.boxes import LARGEST_LIST, Boxes, boxes, mask, pascal
from vitjax.data.files.formats import kinds
from vitjax.data.files.images import Images
from vitjax.data.files.open import MASK, open_images
from vitjax.data.files.paths import matched
from vitjax.data.files.readers import LARGEST, existing
from vitjax.data.prepare import prepare, size
from vitjax.errors import InputError, nearest
from vitjax.files import read_bytes
from vitjax.models.core.preprocess import Input

IGNORED = (0, 255)  # ids of class maps that stand for no object: background and border, as in PASCAL VOC
FITS = ("squash", "crop")
CLAIMS = ("larger", "sum")
SHARE = 0.4  # of a patch that an object must cover (the published code of Nguyen et al. 2022: int(mean + 0.6))
_VOC_BORDER = 200  # ids above it are the border in PASCAL VOC, by the same code
_VOC = ("SegmentationObject", "Annotations")


class Objects(NamedTuple):
    """The objects of one image: `labels` says which one each pixel shows, 0 for none and i + 1 for object i."""

    labels: Int[np.ndarray, "h w"]
    kinds: tuple[str, ...]  # the class of each object


# {image name: function of the image's (height, width) that reads its objects}; images without a mask are not there.
Masks = Mapping[str, Callable[[int, int], Objects]]


def masks(images: Images, source: str | Path, *, ignored: Sequence[int] = IGNORED) -> Masks:
    """Finds the masks of images; each is read when it is asked for.

    Args:
        images: the data set; a mask is found by its image's file name without the ending.
        source: PASCAL VOC's root (with SegmentationObject and Annotations), a folder or zip of PNG class maps, or
            COCO's JSON (which takes the package pycocotools).
        ignored: ids of class maps that are no objects.

    Raises:
        InputError: nothing of the kind there, or no mask for any image; and, when one is read, a mask of another size
            than its image, or one that is no class map.
    """
    path = existing(source, "masks")
    if path.suffix == ".json":
        found = _coco(images, path)
    elif path.is_dir() and all((path / folder).is_dir() for folder in _VOC):
        found = _voc(images, path)
    else:
        found = _maps(images, path, ignored)
    if not found:
        raise InputError(f"{path} has no mask for any of the images, e.g. {images.names[0]}")
    return found


def box_masks(images: Images, source: str | Path | None = None) -> Masks:
    """Takes boxes for masks, every box an object; `source` and errors as of `vitjax.data.annotations.boxes.boxes`."""

    def read(name: str, listed: Boxes, height: int, width: int) -> Objects:
        try:
            layers = [mask(replace(listed, corners=corners[None]), height, width) for corners in listed.corners]
        except InputError as error:
            raise InputError(f"{name}: {error}") from None
        return painted(layers, listed.kinds or [""] * len(layers))

    return {name: partial(read, name, listed) for name, listed in boxes(images, source, all_objects=True).items()}


def painted(layers: Sequence[Bool[np.ndarray, "h w"]], kinds: Sequence[str]) -> Objects:
    """Makes one label per pixel of one mask per object, the smaller objects in front."""
    labels = np.zeros(layers[0].shape, np.int32)
    for number in sorted(range(len(layers)), key=lambda number: -int(layers[number].sum())):
        labels[layers[number]] = number + 1
    return Objects(labels, tuple(kinds))


def fitted(image: Image.Image, config: Input, fit: str = "squash") -> UInt8[np.ndarray, "h w 3"]:
    """Fits an image to the size that the model takes.

    Args:
        image: of any size.
        config: the model's.
        fit: "squash", as Nguyen et al. 2022, resizes to the model's image size whatever the proportions; "crop" is
            what the checkpoint was evaluated with.

    Raises:
        InputError: another fit.
    """
    if fit not in FITS:
        raise InputError(f"unknown fit {fit!r}{nearest(fit, FITS)}: {' or '.join(FITS)}")
    config = Input.of(config)
    if fit == "squash":
        config = replace(config, preprocess=replace(config.preprocess, mode="squash", crop=1.0, size=None))
    return prepare(image, config)


def fitted_labels(objects: Objects, config: Input, fit: str = "squash") -> Objects:
    """Fits the labels of an image as `fitted` does it, to the nearest pixel; InputError for more than 255 objects."""
    if len(objects.kinds) > 255:
        raise InputError(f"{len(objects.kinds)} objects in one image are more than 255")
    config = Input.of(config)
    sharp = replace(config, preprocess=replace(config.preprocess, interpolation="nearest", fill=(0, 0, 0)))
    labels = fitted(Image.fromarray(objects.labels.astype(np.uint8)), sharp, fit)[..., 0]
    return Objects(labels.astype(np.int32), objects.kinds)


def patch_labels(
    labels: Int[np.ndarray, "h w"], grid: tuple[int, int], share: float = SHARE, claims: str = "larger"
) -> Int[np.ndarray, " patch"]:
    """Finds the object that each patch shows, by its label: one that covers at least `share` of it; 0 where none does.

    Args:
        labels: of the pixels: 0 for no object, i + 1 for object i.
        grid: rows and columns of patches.
        share: of a patch that an object must cover to claim it; two can if it is no more than a half.
        claims: whose a patch is that two objects claim. "larger": that of the one that covers more of it, of equal ones
            of the first. "sum": their numbers are added up, as in the published code of Nguyen et al., so that objects
            1 and 2 make it one of object 3, or of one beyond the last that no mask shows.

    Raises:
        InputError: other claims.
    """
    if claims not in CLAIMS:
        raise InputError(f"unknown claims {claims!r}{nearest(claims, CLAIMS)}: {' or '.join(CLAIMS)}")
    rows, columns = grid
    pieces = labels.reshape(rows, labels.shape[0] // rows, columns, -1).swapaxes(1, 2).reshape(rows * columns, -1)
    numbers = np.arange(1, labels.max(initial=0) + 2)
    covered = (pieces[..., None] == numbers).mean(axis=1)
    if claims == "sum":
        return ((covered >= share) * numbers).sum(axis=1)
    most = covered.argmax(axis=1)
    return np.where(covered.max(axis=1) >= share, most + 1, 0)


def _ids(name: str, data: bytes, height: int, width: int) -> np.ndarray:
    """Reads the ids in the mask of an image of this size; a mask of another size is not decoded."""
    try:
        its = size(data)
        labels = np.asarray(Image.open(io.BytesIO(data), formats=kinds())) if its == (width, height) else None
    except Exception as error:  # a damaged file fails in as many ways as there are formats
        raise InputError(f"the mask of {name} is not readable: {next(iter(str(error).splitlines()), error)}") from None
    if labels is None:
        raise InputError(f"{name} is {width}x{height}, its mask {its[0]}x{its[1]}")
    if labels.ndim != 2:
        raise InputError(f"the mask of {name} is a picture in colour, not a map of one id per pixel")
    return labels


def _maps(images: Images, path: Path, ignored: Sequence[int]) -> Masks:
    """Finds class maps, in which every class that is there is one object."""
    listed = open_images(path, masks=True)
    marked = {str(PurePosixPath(name).with_suffix("")).removesuffix(MASK): place
              for place, name in enumerate(listed.names) if PurePosixPath(name).stem.endswith(MASK)}  # fmt: skip
    if not marked:
        if Path(images.source).expanduser().resolve() == path.resolve():
            raise InputError(f"{path} holds the images themselves: masks among them are called NAME_mask.png")
        marked = {str(PurePosixPath(name).with_suffix("")): place for place, name in enumerate(listed.names)}

    def read(name: str, place: int, height: int, width: int) -> Objects:
        ids = _ids(name, listed.read(place), height, width)
        there = np.setdiff1d(ids, ignored)
        return Objects(np.where(np.isin(ids, there), np.searchsorted(there, ids) + 1, 0), tuple(map(str, there)))

    stems = matched(images.names, [f"{stem}.png" for stem in marked], "masks")
    return {name: partial(read, name, marked[stem.removesuffix(".png")]) for name, stem in stems.items()}


def _voc(images: Images, root: Path) -> Masks:
    def read(name: str, height: int, width: int) -> Objects:
        stem = PurePosixPath(name).stem
        data = read_bytes(root / _VOC[0] / f"{stem}.png", LARGEST)
        kinds = [box.object for box in pascal(f"{stem}.xml", read_bytes(root / _VOC[1] / f"{stem}.xml"))]
        labels = _ids(name, data, height, width)
        labels = np.where(labels > _VOC_BORDER, 0, labels)
        if labels.max() > len(kinds):
            raise InputError(f"{name}: its mask has object {labels.max()}, its annotation lists {len(kinds)}")
        return Objects(labels, tuple(kinds))

    both = set.intersection(*({path.stem for path in (root / folder).iterdir()} for folder in _VOC))
    return {name: partial(read, name) for name in images.names if PurePosixPath(name).stem in both}


def _coco(images: Images, path: Path) -> Masks:
    try:
        from pycocotools import mask as coco
    except ImportError:
        raise InputError("COCO's masks take the package pycocotools: pip install 'vitjax[coco]'") from None
    try:
        record = json.loads(read_bytes(path, LARGEST_LIST))
        kinds = {kind["id"]: kind["name"] for kind in record["categories"]}
        files = {image["id"]: image["file_name"] for image in record["images"]}
        listed = defaultdict(list)
        for line in record["annotations"]:
            listed[files[line["image_id"]]].append((line["segmentation"], kinds[line["category_id"]]))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else error
        raise InputError(f"{path} is not readable as COCO's JSON: {what}") from None
    sizes = {image["file_name"]: (image.get("height"), image.get("width")) for image in record["images"]}

    def read(name: str, file: str, height: int, width: int) -> Objects:
        if sizes[file] not in ((height, width), (None, None)):
            raise InputError("{} is {}x{}, its mask {}x{}".format(name, width, height, *sizes[file][::-1]))
        layers = []
        for shape, _ in listed[file]:
            coded = coco.frPyObjects(shape, height, width) if not _is_packed(shape) else shape
            layers.append(coco.decode(coco.merge(coded) if isinstance(coded, list) else coded).astype(bool))
        return painted(layers, [kind for _, kind in listed[file]])

    return {name: partial(read, name, file) for name, file in matched(images.names, list(listed), "masks").items()}


def _is_packed(shape: object) -> bool:
    """Says whether a segmentation is run lengths packed in a string, which need no coding."""
    return isinstance(shape, dict) and isinstance(shape["counts"], str | bytes)
