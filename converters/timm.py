"""Ports one checkpoint of timm, proves it against timm at every activation, and writes it out.

    python converters/timm.py timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k --images photos/ --out ported/

The same images go through both. In float64 every activation, the output and its gradient must agree to 1e-6: the two
compute the same. In float32 they must agree to 1e-5 or, where timm's own float32 is further than that from its
float64, to twice that. The exit code is 1 if they do not. What is written is what `vitjax convert` writes, with the
errors beside it in `parity.json`.
"""

import argparse
import io
import json
import sys
import zipfile
from pathlib import Path

IMAGES = 3
SUFFIXES = (".jpg", ".jpeg", ".png")
COLUMNS = ("float64", "float32", "timm's float32")


def main() -> int:
    """Runs the script and returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", help="a hub id timm/NAME, or a folder with model.safetensors and config.json")
    parser.add_argument("--images", type=Path, help="folder or zip of photographs (default: noise)")
    parser.add_argument("--out", type=Path, help="folder to write the ported weights to")
    parser.add_argument("--seed", type=int, default=0, help="which images (default: %(default)s)")
    args = parser.parse_args()

    from vitjax.errors import InputError

    try:
        return port(args.source, args.images, args.out, args.seed)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2


def port(source: str, photographs: Path | None, out: Path | None, seed: int) -> int:
    """Loads, proves and writes one checkpoint, printing the table of errors; 0 if it agrees with timm, else 1."""
    from converters.parity import EXACT, TOLERANCE, output_errors, relative_errors, rounding
    from converters.timm_reference import import_timm, reference
    from vitjax.weights.hub import fetch
    from vitjax.weights.load import load
    from vitjax.weights.source import parse

    timm = import_timm()
    model = load(source, cache=False)
    found = parse(source)
    folder = (fetch(found) if found.repo else found).weights.parent
    theirs = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    images, preprocess = read_images(photographs, model.config.image_size, seed), model.config.preprocess
    in32 = reference(theirs.float(), images, preprocess)
    in64 = reference(theirs.double(), images.astype("float64"), preprocess)

    plain = output_errors(model, in32)
    ours = {tap: max(error, plain.get(tap, 0)) for tap, error in relative_errors(model, in32).items()}
    columns = (relative_errors(model, in64), ours, rounding(in32, in64))
    errors = {tap: dict(zip(COLUMNS, (column[tap] for column in columns), strict=True)) for tap in columns[0]}
    print(f"{'max relative error':<24}" + "".join(f"{name:>16}" for name in COLUMNS))
    failed = 0
    for tap, row in errors.items():
        exact, single, own = row.values()
        differs = not (exact <= EXACT and single <= max(TOLERANCE, 2 * own))
        failed += differs
        print(f"{tap:<24}" + "".join(f"{error:16.1e}" for error in row.values()) + "  differs" * differs)
    print(f"{model.card}: {failed or 'none'} of {len(errors)} differ on {len(images)} images")
    if failed:
        return 1
    if out:
        from vitjax.weights.converted import export

        export(model, out, {"parity.json": json.dumps(errors, indent=2)})
        print(f"written to {out}")
    return 0


def read_images(path: Path | None, size: tuple[int, int], seed: int):
    """A few images [batch, height, width, 3] in [0, 1]: photographs cut to `size` (height, width), or noise."""
    import numpy as np
    from PIL import Image, ImageOps

    from vitjax.errors import InputError

    random = np.random.default_rng(seed)
    if path is None:
        return random.random((IMAGES, *size, 3), np.float32)
    if not path.exists():
        raise InputError(f"{path} does not exist")
    if path.is_dir():
        files = {file.as_posix(): file.read_bytes for file in path.rglob("*")}
    else:
        archive = zipfile.ZipFile(path)
        files = {name: lambda name=name: archive.read(name) for name in archive.namelist()}
    names = sorted(name for name in files if name.lower().endswith(SUFFIXES))
    if not names:
        raise InputError(f"{path} holds no {' or '.join(SUFFIXES)} images")
    chosen = random.choice(names, min(IMAGES, len(names)), replace=False)
    photographs = [Image.open(io.BytesIO(files[name]())).convert("RGB") for name in chosen]
    return np.stack([np.asarray(ImageOps.fit(image, size[::-1]), np.float32) / 255 for image in photographs])


if __name__ == "__main__":
    # A script's own folder comes first in the search path, and there `timm` would be this file.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    sys.exit(main())
