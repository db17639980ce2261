"""Says what classes are kinds of, by WordNet's hierarchy: "Labrador retriever" of retriever, dog, carnivore, animal.

Known are the classes of ImageNet-1k and Tiny ImageNet, by their names or WordNet numbers (experiments/kinds.py).
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources

from vitjax.models.core.class_names import ClassNames, folded

MOST = 0.9  # of the known classes: what more of them are, "whole" and "entity", tells nothing
_REMARK = re.compile(r"\(.*?\)")  # as in "crane (bird)"


@dataclass(frozen=True)
class Kind:
    """What several classes are.

    Attributes:
        name: as in "dog".
        also: its other names.
        of: the places of the classes among those that were asked for.
    """

    name: str
    also: tuple[str, ...]
    of: tuple[int, ...]


@dataclass(frozen=True)
class _WordNet:
    above: Mapping[str, Sequence[str]]
    names: Mapping[str, Sequence[str]]
    classes: ClassNames

    def all_above(self, number: str) -> Iterator[str]:
        for one in self.above[number]:
            yield one
            yield from self.all_above(one)

    @cached_property
    def by_name(self) -> Mapping[str, Collection[str]]:
        """The numbers of all that is called so, kinds as well as classes."""
        found = defaultdict(set)
        for number, names in self.names.items():
            for name in names:
                found[folded(name)].add(number)
        return found

    def numbers(self, classes: Sequence[str]) -> dict[int, str]:
        """Which of WordNet's nouns each class is, by its place; nothing for those that it is not known of.

        Where half of the classes are called as there, the others are what their last words are called: "loggerhead sea
        turtle" is a sea turtle.
        """
        found = {}
        for place, name in enumerate(classes):
            if len(those := self.classes.matches(name)) == 1:
                found[place] = self.classes.ids[those[0]]
        if 2 * len(found) >= len(classes):
            for place in {*range(len(classes))} - {*found}:
                words = _REMARK.sub("", classes[place].partition(",")[0]).split()
                ends = (self.by_name.get(folded(" ".join(words[start:])), ()) for start in range(len(words)))
                if len(those := next(filter(None, ends), ())) == 1:
                    (found[place],) = those
        return found


@cache
def _wordnet() -> _WordNet:
    lines = (resources.files("vitjax.atlas.page.named") / "wordnet.tsv").read_text("utf-8").splitlines()[1:]
    rows = [line.split("\t") for line in lines]
    classes = [(number, names) for number, _, names, leaf in rows if leaf]
    numbers, names = zip(*classes, strict=True)
    return _WordNet(
        {number: above.split() for number, above, _, _ in rows},
        {number: names.split(", ") for number, _, names, _ in rows},
        ClassNames(names, numbers),
    )


def kinds(classes: Sequence[str]) -> list[Kind]:
    """Lists what these classes are kinds of, the largest kinds first.

    A class that WordNet does not know so, or that may be several ("crane"), is of no kind. Of kinds that have the same
    classes the one right above them stands for all, with the others' names.
    """
    known, members = _wordnet(), defaultdict(set)
    numbers = known.numbers(classes)
    for place, wnid in numbers.items():
        members[wnid].add(place)
        for one in known.all_above(wnid):
            members[one].add(place)
    alike: dict[tuple[int, ...], list[str]] = defaultdict(list)
    leaves = {*numbers.values()}
    for number, places in members.items():
        if number not in leaves or len(places) > 1:
            alike[tuple(sorted(places))].append(number)
    depth = {number: len(set(known.all_above(number))) for number in members}
    found = []
    for places, several in alike.items():
        if len(places) <= MOST * len(numbers) or len(numbers) <= 2:
            names = [name for number in sorted(several, key=depth.get, reverse=True) for name in known.names[number]]
            found.append(Kind(names[0], tuple(dict.fromkeys(names[1:])), places))
    return sorted(found, key=lambda kind: (-len(kind.of), kind.name))
