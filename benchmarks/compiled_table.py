"""Tables what the compilers of four chips say of the loop: first, middle and last block, a dear and a cheap recipe.

    python -m benchmarks.compiled_table [--only TEXT] [--out FOLDER] [--table]

A row is a chip, a model, a recipe and a block; for each of the recipe's stages a step is compiled, which takes a minute
or two of a core and no chip. Rows are JSON files in the folder, each written as soon as it is known. What is there is
not compiled again, and what its compiler is not installed for is left out, so that a table is made bit by bit, in
several environments too. The table of all rows that are there is printed at the end; `--table` compiles nothing.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from vitjax.bench.compiled.chips import CHIPS
from vitjax.bench.compiled.environment import prepare
from vitjax.errors import InputError

OUT = Path(__file__).parent / "results" / "compiled_table"
BASE, LARGE = "vit_base_patch16_224", "vit_large_patch14_224"
HEAD = "| model | block | recipe | chip | pictures at once | ms a step of a picture | of the chip | seconds a picture |"
HEAD += " GB moved a step | MB a picture | pictures that fit |"


@dataclass(frozen=True)
class Case:
    """A row of the table: for which chip pictures of whose MLP neurons are compiled, and how they are made."""

    chip: str
    model: str
    recipe: str
    block: int

    @property
    def name(self) -> str:
        """Of its file, without an ending."""
        return f"{self.chip}-{self.model}-{self.recipe}-{self.block}"


BLOCKS = {BASE: (11, 0, 5), LARGE: (23, 0, 11)}  # last, first, middle
CASES = [
    Case(chip, model, recipe, block)
    for model, blocks in BLOCKS.items()
    for recipe in ("ghiasi", "fast")
    for block in blocks
    for chip in ("v5e", "v5p", "v6e", "h100")
]


def main() -> None:
    """Compiles what is not there yet, and prints the table of all that is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="TEXT", help="of the rows, those whose names have this in them")
    parser.add_argument("--out", type=Path, default=OUT, metavar="FOLDER", help="of the rows")
    parser.add_argument("--table", action="store_true", help="print the table of what is there")
    args = parser.parse_args()
    files = {case: args.out / f"{case.name}.json" for case in CASES}
    if not args.table:
        args.out.mkdir(parents=True, exist_ok=True)
        compile_missing({case: file for case, file in files.items() if args.only in case.name and not file.exists()})
    order = sorted(CASES, key=lambda case: (case.model, case.recipe != "ghiasi", case.block))
    print("\n".join(table([json.loads(files[case].read_text()) for case in order if files[case].exists()])))


def compile_missing(files: dict[Case, Path]) -> None:
    """Compiles rows, and writes each to its file."""
    prepare()
    from benchmarks.compiled_row import compiled
    from vitjax.bench.compiled.target import check

    for case, file in files.items():
        try:
            check(CHIPS[case.chip])
        except InputError as error:
            print(f"{case.name}: left out: {error}", flush=True)
            continue
        row = asdict(case) | compiled(CHIPS[case.chip], case.model, case.recipe, case.block)
        file.write_text(json.dumps(row, indent=1) + "\n")
        print(f"{case.name}: {row['ms_a_step']:.3g} ms a step of a picture, {row['of_the_chip']:.1%}", flush=True)


def table(rows: list[dict]) -> Iterator[str]:
    """The lines of a table in Markdown."""
    yield HEAD
    yield "|" + "---|" * (HEAD.count("|") - 1)
    said = lambda number: f"{float(f'{number:.3g}'):,g}"
    for row in rows:
        share = f"{'< ' if row['untimed'] else ''}{100 * row['of_the_chip']:.0f} %"
        yield (
            f"| {row['model']} | {row['block']} | `{row['recipe']}` | {row['chip']} | {row['pictures']} |"
            f" {said(row['ms_a_step'])} | {share} | {said(row['seconds_a_picture'])} | {said(row['gigabytes'])} |"
            f" {said(row['megabytes_a_picture'])} | {row['fit']:,} |"
        )


if __name__ == "__main__":
    main()
