"""What vitjax says while it goes on, by the logger that everything it says goes through."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def said(match: str) -> Iterator[list[str]]:
    """Asserts that in its body vitjax says a line that matches; gives all that it says there."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    log = logging.getLogger("vitjax")
    log.addHandler(handler)
    try:
        yield lines
    finally:
        log.removeHandler(handler)
    assert any(re.search(match, line) for line in lines), lines
