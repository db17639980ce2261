"""What the classes of a head are called, and which one a name means."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

from vitjax.errors import InputError, nearest

WNID = re.compile(r"n\d{8}")  # how WordNet, and ImageNet after it, numbers its nouns
_BEFORE = re.compile(rf"({WNID.pattern})[\W_]+(.+)", re.DOTALL)
_APART = re.compile(r"[\s_\-]+")
_SEARCHED = 10_000  # names among which the nearest is looked for, half a second's work


@dataclass(frozen=True, repr=False)
class ClassNames(Sequence[str]):
    """The names of a head's classes in the head's order; empty where nothing says them.

    Kept on a model as `model.class_names`, a static attribute like its card. All have the same hash, so that no call of
    a compiled function goes through thousands of names.

    Attributes:
        names: one for each class, e.g. "tench, Tinca tinca"; two classes may be called alike.
        ids: what data sets call the classes for short, e.g. "n01440764"; () where nothing says it.
    """

    names: tuple[str, ...] = field(default=(), hash=False)
    ids: tuple[str, ...] = field(default=(), hash=False)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, number):
        return self.names[number]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __repr__(self) -> str:
        return f"ClassNames({', '.join(map(repr, self.names[:3]))}{', …' if len(self) > 3 else ''})"

    def shown(self, number: int) -> str:
        """The name of a class, with its number where another class is called the same: "crane (517)"."""
        name = self.names[number]
        return f"{name} ({number})" if self._alike[name] > 1 else name

    def matches(self, name: str) -> tuple[int, ...]:
        """The classes that a name may mean: none, one, or several where it is ambiguous.

        The first of these that any class fits counts: the name or id as it stands; without regard to case, blanks, `_`
        and `-`; one of the names that a comma sets apart ("tench" of "tench, Tinca tinca"). A WordNet id before a name
        decides where ids are known, and is left out where they are not.
        """
        name = name.strip()
        if (both := _BEFORE.fullmatch(name)) and name not in self._levels[0][1]:
            name = both[1] if self.ids else both[2]
        for change, known in self._levels:
            if found := known.get(change(name)):
                return found
        return ()

    def number(self, name: str) -> int:
        """The class that a name means, see `matches`.

        Raises:
            InputError: no class is called so (with the nearest), or several are.
        """
        found = self.matches(name)
        if not found:
            raise InputError(f"no class of the model is called {name!r}{self.nearest(name)}")
        if len(found) > 1:
            numbers = ", ".join(f"{number} ({self.names[number]})" for number in found[:4])
            raise InputError(f"{name!r} may mean several classes of the model, {numbers}: give the number")
        return found[0]

    def nearest(self, name: str) -> str:
        """Names of classes that are like this one, in the words of `vitjax.errors.nearest`."""
        return nearest(name, islice((part for name in self.names for part in _parts(name)), _SEARCHED))

    @cached_property
    def _alike(self) -> Counter[str]:
        return Counter(self.names)

    @cached_property
    def _levels(self) -> tuple[tuple[Callable[[str], str], Mapping[str, tuple[int, ...]]], ...]:
        """What may be done to a name, and the classes by their names after the same."""
        whole = [*enumerate(self.names), *enumerate(self.ids)]
        parts = [(number, part) for number, name in enumerate(self.names) for part in _parts(name)]
        return (str, _index(whole, str)), (folded, _index(whole, folded)), (folded, _index(parts, folded))


NAMELESS = ClassNames()  # of a model whose classes nothing names, or that has none


def folded(name: str) -> str:
    """A name without what people and file systems write differently: case, blanks, `_`, `-`, composed letters."""
    return _APART.sub("", unicodedata.normalize("NFKC", name)).casefold()


def _parts(name: str) -> list[str]:
    return [part.strip() for part in name.split(",") if part.strip()]


def _index(numbered: Iterable[tuple[int, str]], change: Callable[[str], str]) -> dict[str, tuple[int, ...]]:
    found: dict[str, dict[int, None]] = defaultdict(dict)
    for number, name in numbered:
        found[change(name)][number] = None
    return {name: tuple(numbers) for name, numbers in found.items()}
