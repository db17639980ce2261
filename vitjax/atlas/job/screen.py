"""What a job reports in, progress bars on the terminal out."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tqdm import tqdm

from vitjax.atlas.job.job import Reporter


@dataclass
class Screen:
    """Progress on the terminal, a bar a stage."""

    bar: tqdm | None = None
    pictures: int = 0
    all_pictures: int = 0

    def reporter(self, steps: int) -> Reporter:
        """What a job reports to; painting is counted in steps, `steps` for a picture."""

        def begin(stage: str, total: int) -> None:
            self.close()
            if stage.startswith("painting"):
                self.pictures, self.all_pictures, total = 0, total, total * steps
            unit = "step" if stage.startswith("painting") else "picture"
            self.bar = tqdm(total=total or None, desc=stage, unit=unit, dynamic_ncols=True, smoothing=0.1)

        def done(more: int) -> None:
            if self.bar.unit == "picture":
                self.bar.update(more)
            else:
                self.pictures += more
                self._postfix()

        return Reporter(begin, done)

    def steps(self, more: int) -> None:
        """Moves the bar of a painting stage."""
        self.bar.update(more)
        self._postfix()

    def photographs(self, batches: Iterable, total: int) -> tqdm:
        """A bar around the batches of a pass over photographs."""
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
    """A bar for `export`, to be handed to it as its `progress`."""
    with tqdm(unit="file", dynamic_ncols=True) as bar:

        def progress(stage: str, done: int, total: int) -> None:
            if not bar.desc.startswith(f"page, {stage}"):
                bar.reset(total)
                bar.set_description(f"page, {stage}")
            bar.update(done - bar.n)

        yield progress
