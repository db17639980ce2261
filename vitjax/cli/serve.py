"""`vitjax serve OUT …`: shows the page of atlases in a browser."""

import argparse
from pathlib import Path

from vitjax.cli.arguments import path
from vitjax.errors import InputError

EXAMPLES = """
examples:
  vitjax serve atlas/                        the page of one atlas at http://127.0.0.1:8000/
  vitjax serve atlas_b/ atlas_l/ --open      two at /atlas_b/ and /atlas_l/, and opens a browser
  ssh -L 8000:127.0.0.1:8000 HOST            shows here what `vitjax serve` serves on HOST

several atlases can be compared unit by unit. The page needs no server: its index.html also opens from disk and from
any static host.
"""


def add(commands) -> None:
    """Adds the command."""
    command = commands.add_parser(
        "serve",
        help="look at an atlas in a browser",
        description="Serves the page of atlases on this machine until Ctrl-C; writes it first where it is missing.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("folders", nargs="+", type=path, metavar="OUT", help="an atlas, or an exported one")
    command.add_argument("--port", type=_port, default=8000, help="0 takes any free one (default: 8000)")
    command.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default: 127.0.0.1, reached from this machine only; 0.0.0.0 from others too)",
    )
    command.add_argument("--open", action="store_true", help="open a browser")
    command.set_defaults(run=_run)


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: a number from 0 to 65535")
    return int(text)


def _run(args: argparse.Namespace) -> int:
    from vitjax.atlas.server.serve import serve
    from vitjax.atlas.store.folder import is_export

    folders = [folder if is_export(folder) else _page(folder) for folder in args.folders]
    serve(folders, args.port, args.open, host=args.host)
    return 0


def _page(folder: Path) -> Path:
    """Finds the page of an atlas's store, written if it is not there; gives any other folder back as it is."""
    if not (folder / "manifest.json").is_file():
        if str(folder).startswith(("gs:", "s3:")):
            raise InputError(f"only local folders can be served: vitjax atlas export {folder} --to FOLDER first")
        return folder
    from vitjax.atlas.job.run import show
    from vitjax.atlas.store.store import Store

    return show(Store(str(folder)), bytes=False)
