"""Reports how a job goes, and draws it on the terminal, a bar a stage."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from vitjax.progress import Bar, Meter, News, images


class Reporter:
    """Is told how a job goes; this one tells nobody."""

    def begin(self, stage: str, pictures: int, meter: Meter | None = None) -> None:
        """Hears that a stage begins that has so many pictures to do, 0 if that is not known; of painting, its meter."""

    def done(self, pictures: int) -> None:
        """Hears that so many more pictures of the stage are in the store."""

    def told(self, news: News) -> None:
        """Hears how much further painting has come, and what is compiled."""

    def photographs(self, batches: Iterable[Any], total: int) -> Iterable[Any]:
        """Passes on the batches of a pass over photographs, of which there are `total`."""
        return batches


@dataclass
class Screen(Reporter):
    """Draws progress, a bar a stage, on the terminal or in a notebook."""

    bar: Bar | None = None

    def begin(self, stage: str, pictures: int, meter: Meter | None = None) -> None:
        """Puts a new bar in the place of the last stage's."""
        self.close()
        self.bar = Bar(stage, pictures, "picture", meter, hourly=meter is not None)

    def done(self, pictures: int) -> None:
        """Counts pictures, which move the bar where it is not of painting."""
        if self.bar.hourly:
            self.bar.show(self.bar.pieces + pictures)
        else:
            self.bar.did(pictures)

    def told(self, news: News) -> None:
        """Moves the bar of a painting stage."""
        self.bar.hear(news)

    def photographs(self, batches: Iterable[Any], total: int) -> Iterable[Any]:
        """Draws a bar around the batches of a pass over photographs."""
        self.close()
        return images("photographs")(batches, total)

    def close(self) -> None:
        """Ends the bar of the last stage."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None


@contextmanager
def exporting() -> Iterator[Callable[[str, int, int], None]]:
    """Draws a bar for `export`, to be handed to it as its `progress`."""
    with ExitStack() as closing:
        bars: dict[str, Bar] = {}

        def progress(stage: str, done: int, total: int) -> None:
            if stage not in bars:
                closing.close()
                bars[stage] = closing.enter_context(Bar(f"page, {stage}", total, "file"))
            bars[stage].did(done - bars[stage].pieces)

        yield progress
