"""Opens whatever a user names as data: a folder, a zip, one image, parquet files, a data set on the hub, or arrays."""

import os
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vitjax.data.files.images import Images, folders
from vitjax.data.files.readers import Folder, Named, Texts, Zip, existing, hidden, walk
from vitjax.errors import InputError
from vitjax.files import legible, open_regular

MASK = "_mask"  # ends the name of a mask that stands beside its image


def open_images(source: str | Path | Sequence[Any], split: str | None = None, *, masks: bool = False) -> Images:
    """Opens a data set; looks at names (of a table: at its small columns) alone, no image is read.

    Images are the files with an ending that `formats.endings` knows. Left out are files whose name, or whose folder's,
    begins with a dot, the `__MACOSX` of zips, and, named in `left_out`, images of other kinds and masks beside images
    (`NAME_mask.png` beside `NAME.jpg`).

    Args:
        source: a folder (with all its folders) or a zip of image files, or one image file; a .parquet file or a folder
            of them; or a hub data set, `hf://datasets/OWNER/NAME`, with `@REVISION` where the newest is not meant; or
            images that lie in memory, as `vitjax.data.files.arrays.in_memory` takes them.
        split: which part of a parquet data set, e.g. "validation".
        masks: masks beside images are images, too.

    Raises:
        InputError: nothing of the kind there, no images in it, or a zip that holds a name twice.
    """
    if not isinstance(source, str | os.PathLike):
        from vitjax.data.files.arrays import in_memory

        if split is not None:
            raise InputError(f"split={split!r} has no meaning for images in memory: only parquet data sets have splits")
        return in_memory(source)
    text = str(source)
    if text.startswith("hf:"):
        from vitjax.data.files.hub import open_hub  # huggingface-hub takes a fifth of a second, for hub data sets only

        return open_hub(text, split)
    path = existing(source, "images")
    files = list(walk(path)) if path.is_dir() else []
    if not path.is_dir():
        open_regular(path).close()
    if path.suffix == ".parquet" or any(name.endswith(".parquet") for name in files):
        from vitjax.data.files.parquet import open_files

        return open_files(path, split)
    if split is not None:
        raise InputError(f"split={split!r} has no meaning for {path}: only parquet data sets have splits")
    if path.is_dir():
        return _listed(text, files, Folder(path), masks)
    from vitjax.data.files.formats import endings, left_out  # all of Pillow's plugins, a tenth of a second

    if (ending := path.suffix.lower()) in endings() or ending in left_out():
        return _listed(text, [path.name], Folder(path.parent), masks)
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path} is neither an image, a folder, a zip nor a parquet file")
    archive = Zip(path)
    return _listed(text, [name for name in archive.names() if not hidden(name)], archive, masks)


def _listed(source: str, files: Sequence[str], reader: Folder | Zip, masks: bool) -> Images:
    """Picks the images among files; a name that is no UTF-8 is given with escapes and read as what it is."""
    from vitjax.data.files.formats import endings, left_out  # see above

    if twice := [name for name, count in Counter(map(legible, files)).items() if count > 1]:
        raise InputError(f"{source} holds {twice[0]} {'and others ' if twice[1:] else ''}twice: which one is meant?")
    real = {legible(name): name for name in sorted(files)}
    parts = {name: os.path.splitext(name) for name in real}
    names = [name for name, (_, ending) in parts.items() if ending.lower() in endings()]
    left = {name: why for name, (_, ending) in parts.items() if (why := left_out().get(ending.lower()))}
    stems = {parts[name][0] for name in names}
    beside = {name for name in names if parts[name][0].endswith(MASK) and parts[name][0].removesuffix(MASK) in stems}
    if not masks and beside:
        names = [name for name in names if name not in beside]
        left |= dict.fromkeys(sorted(beside), "the mask of an image beside it")
    if not names:
        example = next((f" ({name}: {why})" for name, why in left.items()), "")
        raise InputError(f"no images in {source}{example}: looked for .jpg, .png and {len(endings()) - 2} more")
    held = tuple(real[name] for name in names)
    texts = Texts(reader, {name: real[name] for name in real if name.endswith(".txt")})
    return Images(
        source,
        tuple(names),
        Named(reader, held),
        texts,
        folders=folders(names),
        peek=Named(reader.peek, held),
        crc=Named(reader.crc, held) if isinstance(reader, Zip) else None,
        left_out=left,
    )
