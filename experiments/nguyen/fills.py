"""What hides patches best: top-1 behind each fill less that behind black on the same tiles of the same photographs.

`occlusion_curves.py` for accuracy alone, on many images: it takes them in parts of every N-th image, keeps each that is
done, goes on from there, and may be stopped at any time; the tables are those of the parts that are there.

    python -m experiments.nguyen.fills --model vit_tiny_patch16_224 --data imagenet-samples/images.zip --parts parts/
"""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

import vitjax
from experiments import script
from vitjax.analysis.perturbed.occlusion_curves import run
from vitjax.analysis.perturbed.occlusion_figures import draw_accuracy
from vitjax.analysis.perturbed.occlusion_tables import accuracy_rows
from vitjax.analysis.study.blocks import after_blocks
from vitjax.analysis.study.findings import Findings, settings
from vitjax.data.dataset import open_dataset
from vitjax.files import make_folder

FILLS, RATIOS = ["black", "mean", "noise", "remove"], [0.25, 0.5, 0.75, 0.9]


def main() -> None:
    parser = script.parser(__doc__, __file__)
    script.add_data(parser, batch=25)
    parser.add_argument("--parts", type=Path, required=True, help="folder for what is done, of this model and data")
    parser.add_argument("--count", type=int, default=10, help="parts that the images are taken in")
    args = parser.parse_args()
    model = vitjax.load(args.model)
    data, options = open_dataset(args.data, model.config, batch=args.batch), {"fills": FILLS, "ratios": RATIOS}
    last = after_blocks(model)[-1:]
    make_folder(args.parts)
    for number in range(args.count):
        path = args.parts / f"{number}-of-{args.count}.parquet"
        if not path.exists():
            part = data.images.take(range(number, len(data.images), args.count))
            found = run(model, replace(data, images=part), taps=last, **options)
            partial = path.with_suffix(".unfinished")
            parquet.write_table(found.tables["occlusion-images"], partial)
            partial.replace(path)
        done = [parquet.read_table(path) for path in sorted(args.parts.glob(f"*-of-{args.count}.parquet"))]
        rows = accuracy_rows(pa.concat_tables(done))
        about = settings(model, data, **options, parts=f"{len(done)} of {args.count}")
        print(*Findings("fills", rows, about, {"": draw_accuracy(rows)}).save(args.out), f"{len(done)} parts", sep="\n")


if __name__ == "__main__":
    main()
