"""Reports how a job goes, and draws it on the terminal, a bar a stage."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm


class Reporter:
    """Is told how a job goes; this one tells nobody."""

    def begin(self, stage: str, pictures: int, steps: int = 0) -> None:
        """Hears that a stage begins that has so many pictures to do, 0 if that is not known, in so many steps."""

    def done(self, pictures: int) -> None:
        """Hears that so many more pictures of the stage are in the store."""

    def stepped(self, steps: int) -> None:
        """Hears how much further painting has come, in pictures times steps."""

    def photographs(self, batches: Iterable[Any], total: int) -> Iterable[Any]:
        """Passes on the batches of a pass over photographs, of which there are `total`."""
        return batches


@dataclass
class Screen(Reporter):
    """Draws progress on the terminal, a bar a stage; painting is counted in steps."""

    bar: tqdm | None = None
    pictures: int = 0
    all_pictures: int = 0

    def begin(self, stage: str, pictures: int, steps: int = 0) -> None:
        """Puts a new bar in the place of the last stage's."""
        self.close()
        total, unit = pictures, "picture"
        if steps:
            self.pictures, self.all_pictures, total, unit = 0, pictures, steps, "step"
        self.bar = tqdm(total=total or None, desc=stage, unit=unit, dynamic_ncols=True, smoothing=0.1)

    def done(self, pictures: int) -> None:
        """Moves the bar, or counts the pictures beside it."""
        if self.bar.unit == "picture":
            self.bar.update(pictures)
        else:
            self.pictures += pictures
            self._postfix()

    def stepped(self, steps: int) -> None:
        """Moves the bar of a painting stage."""
        self.bar.update(steps)
        self._postfix()

    def photographs(self, batches: Iterable[Any], total: int) -> Iterable[Any]:
        """Draws a bar around the batches of a pass over photographs."""
        self.close()
        self.bar = tqdm(batches, total=total, desc="photographs", unit="batch", dynamic_ncols=True)
        return self.bar

    def close(self) -> None:
        """Ends the bar of the last stage."""
        if self.bar is not None:
            self.bar.close()

    def _postfix(self) -> None:
        if self.bar.total and (rate := self.bar.format_dict["rate"]):
            hourly = 3600 * rate * self.all_pictures / self.bar.total
            self.bar.set_postfix_str(f"{self.pictures}/{self.all_pictures} pictures, {hourly:.0f}/hour")


@contextmanager
def exporting() -> Iterator[Callable[[str, int, int], None]]:
    """Draws a bar for `export`, to be handed to it as its `progress`."""
    with tqdm(unit="file", dynamic_ncols=True) as bar:

        def progress(stage: str, done: int, total: int) -> None:
            if not bar.desc.startswith(f"page, {stage}"):
                bar.reset(total)
                bar.set_description(f"page, {stage}")
            bar.update(done - bar.n)

        yield progress
