"""Pictures of directions beside the photograph that each responds to most, and where on it.

    vitjax analyze directions --model vit_tiny_patch16_224 --data photos.zip --tap blocks.9.resid_post --method ica \
        --count 12 --out ica
    vitjax visualize --model vit_tiny_patch16_224 --image-size 112 ica/directions.npz:1-4,7-10 --recipe fast \
        --out pictures
    python -m experiments.photographs.found --model vit_tiny_patch16_224 --image-size 112 \
        --directions ica/directions.npz --pictures pictures --data free/
"""

from dataclasses import replace
from pathlib import Path

import vitjax
from experiments import script
from vitjax.analysis.report.painted import painted
from vitjax.analysis.units.maps import run
from vitjax.data.dataset import open_dataset


def main() -> None:
    parser = script.parser(__doc__, __file__)
    script.add_data(parser)
    parser.add_argument("--directions", type=Path, required=True, help="file that `vitjax analyze directions` wrote")
    parser.add_argument("--pictures", type=Path, required=True, help="folder that `vitjax visualize` made of them")
    parser.add_argument("--image-size", type=int, help="that the pictures have, if other than the model's own")
    parser.add_argument("--k", type=int, default=2, help="photographs for each direction")
    args = parser.parse_args()
    model = vitjax.load(args.model, image_size=args.image_size, dictionaries=[args.directions])
    data = open_dataset(args.data, model, limit=args.limit, batch=args.batch)
    pictures = {str(unit): picture for unit, picture in painted(model, folder=args.pictures).items()}
    findings = run(model, data, units=pictures, k=args.k, views=("photo", "overlay"), pictures=pictures)
    script.keep(args, replace(findings, name="found"))


if __name__ == "__main__":
    main()
