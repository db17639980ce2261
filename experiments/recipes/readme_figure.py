"""Draws the README's figure from a folder of pictures: a column for each block, as many neurons in each.

python -m experiments.recipes.readme_figure FOLDER docs/vit_tiny_fast.webp
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from vitjax.models.core.vocabulary import split_tap
from vitjax.optimize.results.record import read_record
from vitjax.optimize.results.sheets import contact_sheet

SIDE = 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a folder of pictures of neurons of all blocks")
    parser.add_argument("out", type=Path)
    parser.add_argument("--rows", type=int, default=2, help="neurons of each block")
    parser.add_argument("--skip", type=int, default=0, help="neurons of each block left out at its start")
    args = parser.parse_args()
    columns: dict[int, list[dict]] = {}
    for row in read_record(args.folder)["pictures"]:
        columns.setdefault(split_tap(row["unit"].partition(":")[0]).block, []).append(row)
    chosen = [columns[block][args.skip + i] for i in range(args.rows) for block in sorted(columns)]
    images, captions = [], []
    for row in chosen:
        with Image.open(args.folder / row["file"]) as image:
            images.append(np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)))
        tap, _, index = row["unit"].partition(":")
        captions.append(f"block {split_tap(tap).block}: {index}   {row['activation']:.2g}")
    contact_sheet(images, captions, len(columns)).save(args.out, quality=85)


if __name__ == "__main__":
    main()
