"""Fills in the head of the page's shell: its title and what is shown of a link to it (https://ogp.me)."""

import html

from vitjax.atlas.page.contents import Contents
from vitjax.atlas.page.sharing.preview import FILE, SIZE

TITLE = "<title>vitjax atlas</title>"


def headed(shell: bytes, contents: Contents, address: str = "") -> bytes:
    """Gives index.html of an atlas.

    Args:
        shell: index.html as it is among the page's own files.
        address: where the page will be, as readers of links want whole addresses of pictures; "" where nobody knows.
    """
    count = len(contents.units)
    about = (
        f"{count:,} units of {len(contents.taps)} layers, each with a picture that excites it and what it responds to."
    )
    place = f"{address.rstrip('/')}/" if address else ""
    tags = {
        "og:type": "website",
        "og:title": contents.title,
        "og:description": about,
        "og:image": f"{place}{FILE}",
        "og:image:width": str(SIZE[0]),
        "og:image:height": str(SIZE[1]),
        "og:image:alt": f"Pictures of units of {contents.title}",
        **({"og:url": place} if place else {}),
    }
    lines = [f"<title>{_text(contents.title)}</title>"]
    lines += [f'<meta property="{name}" content="{_text(value)}">' for name, value in tags.items()]
    lines += ['<meta name="twitter:card" content="summary_large_image">']
    return shell.replace(TITLE.encode(), "\n".join(lines).encode(), 1)


def _text(value: str) -> str:
    return html.escape(" ".join(value.split()).encode("utf-8", "replace").decode())
