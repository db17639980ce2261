"""`vitjax atlas export`: writes a finished atlas as one folder of static files, and uploads it to the hub."""

import argparse
from pathlib import Path

from vitjax.cli.arguments import check_push, free_folder, path, push_arguments

ABOUT = """
Writes the page of a finished atlas: one folder of static files (WebP tiles, JSON, parquet, contact sheets) that opens
from disk and from any static host. It needs neither the model nor the photographs.
"""


def add(command: argparse.ArgumentParser) -> None:
    """Adds the command below `vitjax atlas`."""
    below = command.add_subparsers(metavar="", title="commands below")
    export = below.add_parser(
        "export",
        help="write the page of a finished atlas to one folder",
        description=ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    export.add_argument("store", help="a finished atlas: a folder, gs://BUCKET/PATH or s3://BUCKET/PATH")
    export.add_argument("--to", type=path, metavar="FOLDER", help="the folder (default: page, or the next free name)")
    export.add_argument(
        "--beside",
        nargs="+",
        default=[],
        metavar="PATH",
        help="other exported atlases of the same site that may be compared, as seen from this one, e.g. ../other",
    )
    export.add_argument("--overwrite", action="store_true", help="replace an older export in that folder")
    export.add_argument("--no-contact", action="store_true", help="leave out the contact sheets, a fifth of its size")
    export.add_argument(
        "--lossless",
        action=argparse.BooleanOptionalAction,
        help="write each picture as a PNG too (default: of 500 units and less)",
    )
    export.add_argument(
        "--words", type=path, metavar="FILE", help="name units of a CLIP by words: what `vitjax analyze words` wrote"
    )
    export.add_argument("--address", default="", metavar="URL", help="where it will be, for previews of links to it")
    push_arguments(export, "data set")
    export.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    check_push(args)
    if args.push:
        from vitjax.atlas.page.push import ATLAS
        from vitjax.weights.publish.upload import check_name

        check_name(args.push, ATLAS)
    out = args.to or free_folder("page")
    from dataclasses import replace

    from vitjax.atlas.job.progress import exporting
    from vitjax.atlas.page.export import export
    from vitjax.atlas.page.reader import contents
    from vitjax.atlas.store.store import Store

    beside = [{"name": Path(one).name, "path": one} for one in args.beside]
    what = replace(contents(Store(args.store)), beside=beside)
    if args.words:
        from vitjax.atlas.page.kept.words import read_words

        what = replace(what, words=read_words(args.words, what.units))
    with exporting() as progress:
        options = {"contact": not args.no_contact, "lossless": args.lossless, "address": args.address}
        done = export(what, out, overwrite=args.overwrite, progress=progress, **options)
    print(f"{done.files} files, {done.bytes / 1e6:.1f} MB: {done.folder / 'index.html'}")
    if args.push:
        from vitjax.atlas.page.push import push

        print(push(done.folder, args.push, private=args.private))
    return 0
