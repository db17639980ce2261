"""Takes every n-th class of Tiny ImageNet, as folders of links that every command takes as `--data`.

    python -m experiments.dtn.classes --tiny tiny --every 4 --out tiny-50

`--tiny` has `train/WNID/*.JPEG` and `val/val_annotations.txt` beside `val/*.JPEG`, as unpacked by the commands of
`experiments/greenmim/README.md`.
"""

import argparse
from pathlib import Path

ANNOTATIONS = "val_annotations.txt"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", type=Path, required=True)
    parser.add_argument("--every", type=int, default=4)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    tiny = args.tiny.absolute()
    chosen = sorted(folder.name for folder in (tiny / "train").iterdir())[:: args.every]
    for wnid in chosen:
        link(tiny / "train" / wnid, args.out / "train" / wnid)
    for row in (tiny / "val" / ANNOTATIONS).read_text().splitlines():
        name, wnid, *_ = row.split("\t")
        if wnid in chosen:
            link(tiny / "val" / name, args.out / "val" / wnid / name)
    print(f"{args.out}: {len(chosen)} classes")


def link(what: Path, here: Path) -> None:
    """Links to it, unless that is done."""
    here.parent.mkdir(parents=True, exist_ok=True)
    if not here.is_symlink():
        here.symlink_to(what)


if __name__ == "__main__":
    main()
