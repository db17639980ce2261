"""Which browser the page and the documentation are looked at in."""

import shutil

NAMES = "chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"


def chromium() -> str | None:
    """Debian's Chromium without windows, which needs half the time of a whole one, or another that is on the path."""
    return next(filter(None, map(shutil.which, NAMES)), None)
