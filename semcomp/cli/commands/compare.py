"""`semcomp compare`: one image beside JPEG, WebP and AVIF of equal size, as one page."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from pathlib import Path

from semcomp.cli.batch import get_codec
from semcomp.cli.commands.encode import encode_with_target, read_picture
from semcomp.cli.exit_codes import EXIT_OK, UsageError
from semcomp.cli.failures import check_readable, concerning
from semcomp.cli.inputs import is_pipe
from semcomp.cli.output_formats import check_suffix
from semcomp.cli.own_outputs import own_output
from semcomp.cli.paths import STREAM, beside, check_target, read_source, write_target
from semcomp.cli.shared_options import NewParser, SharedOptions, add_graphs
from semcomp.cli.terminal import say, say_json
from semcomp.storage.urls import is_url, local_name


def add_parser(new_parser: NewParser, shared: SharedOptions) -> None:
    """Add the command and its options."""
    parser = new_parser(
        parents=[shared.target, shared.network, shared.output],
        description="Write one self-contained page: slider, zoomed crops, bytes and PSNR at equal bytes.",
    )
    add_graphs(parser)
    parser.add_argument("input", metavar="IN", help="an image, or - for stdin")
    parser.add_argument("-o", "--output", metavar="PAGE", help="the page (IN with the suffix .compare.html)")
    parser.add_argument("-f", "--force", action="store_true", help="overwrite a page that exists")
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Write the page; returns the exit code."""
    from semcomp.eval.compare import at_equal_bytes, comparison_page

    start = time.perf_counter()
    source = local_name(options.input)
    if not is_url(source) and Path(source).is_dir():
        raise UsageError(f"{source or '.'} is a folder, and one image is compared: give an image")
    piped = source == STREAM or (not is_url(source) and Path(source).exists() and is_pipe(Path(source)))
    if not piped and not is_url(source):
        check_readable(source)
    default = "stdin.compare.html" if piped else beside(source, ".compare.html")
    target = local_name(options.output) if options.output else default
    check_suffix(target, ".html")
    check_target(target, options, sources=[source])
    if not piped and (kind := own_output(source)):
        raise UsageError(f"{source}: semcomp wrote this {kind}; it is not a photo")
    with concerning("stdin" if source == STREAM else source):
        picture = read_picture(read_source(source), options)
    codec = get_codec(options.model, options.device, options.threads, graphs=options.graphs)
    data, quality, _ = encode_with_target(codec, picture, options)
    comparison = at_equal_bytes(picture, data, codec.decode(data), quality=quality)
    name = Path(source).name if source != STREAM else "stdin"
    write_target(target, comparison_page(comparison, title=name).encode(), force=options.force)
    seconds = time.perf_counter() - start

    out = sys.stderr if target == STREAM else sys.stdout
    if options.json:
        values = {
            "command": "compare",
            "input": options.input,
            "output": target,
            "ok": True,
            "width": picture.width,
            "height": picture.height,
            "quality": quality,
            "codecs": [entry.to_dict() for entry in comparison.entries],
            "seconds": round(seconds, 4),
        }
        say_json(values, stream=out)
    elif not options.quiet:
        say(f"{options.input} -> {target}  {seconds:.2f} s", stream=out)
        say([f"  {entry.line()}" for entry in comparison.entries], stream=out)
    return EXIT_OK
