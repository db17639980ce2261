"""Tokens of huge norm (Darcet et al. 2023): the reason why measures of clusters, and maps of attention, mislead.

`vitjax analyze norms` with random weights beside, and its table of costs as CSV:

    python -m experiments.nguyen.norms --model vit_tiny_patch16_224 --data imagenet-samples/images.zip
"""

from dataclasses import replace

from experiments import script
from vitjax.analysis.norms.norms import run
from vitjax.analysis.photographs.outliers import OUTLIER


def main() -> None:
    parser = script.parser(__doc__, __file__)
    script.add_data(parser, batch=25, classes=True)
    parser.add_argument("--times", type=float, default=OUTLIER, help="how many times the median norm")
    parser.add_argument("--photos", action="store_true", help="show the tokens on photographs, too")
    args = parser.parse_args()
    model, data = script.opened(args)
    findings = run(model, data, times=args.times, control=True)
    figures = {name: figure for name, figure in findings.figures.items() if args.photos or not name}
    script.keep(args, replace(findings, figures=figures, tables={}))
    if findings.tables:
        script.keep_rows(args, "norms-cost", findings.tables["norms-cost"].to_pylist())


if __name__ == "__main__":
    main()
