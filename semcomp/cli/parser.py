"""The parsers of all commands. Building them imports nothing beyond argparse."""

from __future__ import annotations

import argparse

from semcomp.cli.argument_types import SEMANTICS, _jobs, _names, _parts, _positive, _tag, _whole, parse_size

_EPILOG = """\
examples:
  semcomp encode photo.jpg                      photo.semc beside it, at quality 50
  semcomp encode photos/ -o small/ --bpp 0.5    a folder, mirrored into another one
  semcomp decode photo.semc                     photo.png
  semcomp classify small/*.semc                 what they show, without decoding a pixel
  semcomp segment photo.semc --overlay          what every pixel shows
  semcomp info photo.semc --json
  semcomp compare photo.png                     one page beside JPEG, WebP and AVIF of the same size
  semcomp eval photos/ -o out/                  which codec for these photos? curves, times, a report

exit codes:
  0 fine   1 some inputs failed   2 wrong usage   130 interrupted
  3 damaged file   4 model missing, or not the one that wrote the file
  5 a limit that eval was given does not hold
"""


_ENCODE_EPILOG = """\
examples:
  semcomp encode photo.jpg                          photo.semc, quality 50
  semcomp encode photo.jpg -q 80 -o best.semc
  semcomp encode 'photos/**/*.png' -o out/ -j 4     the tree below photos/, mirrored into out/
  semcomp encode photos/ --max-bytes 20k            each file at most 20,000 bytes (20Ki: 20,480)
  semcomp encode photo.png --psnr 36                the smallest file of at least 36 dB
  cat photo.png | semcomp encode - > photo.semc
  semcomp encode photo.jpg --semantics              labels and a label map go into the file
  semcomp encode photo.jpg --tag dog=0.98 --tag beach
  semcomp encode photo.png --mode generative --map  a tiny file; its decoder synthesises the details
  semcomp encode street.png --keep people,car --head street
"""


_DECODE_EPILOG = """\
examples:
  semcomp decode photo.semc                         photo.png
  semcomp decode photo.semc -o photo.jpg            the suffix says the format
  semcomp decode small/ -o pixels/ --format webp    a folder, mirrored
  cat photo.semc | semcomp decode - --format ppm | display
  semcomp decode street.semc --generator faithful   synthesise nothing
  semcomp decode street.semc --show-synthesised     street.synthesised.png: what is real and what is not
"""


_CLASSIFY_EPILOG = """\
examples:
  semcomp classify small/*.semc
  semcomp classify photos/ --top 3 --json           pictures are encoded in memory first
  semcomp classify --head my.safetensors new/*.semc a head of your own, see semcomp-fit-head
"""


_SEGMENT_EPILOG = """\
examples:
  semcomp segment photo.semc                        photo.labels.png: a palette PNG of class numbers
  semcomp segment small/ -o maps/ --overlay         the pictures under translucent colours, with a legend
  semcomp segment drive.semc --head street --fresh  run the head even if the file holds a map
"""


_EXPORT_EPILOG = """\
examples:
  semcomp export onnx -o edge/                              every part, every head
  semcomp export onnx -o edge/ --heads street               a smaller client
  semcomp export onnx -o viewer/ --parts sigma,mean,synthesis
  semcomp export onnx -o edge8/ --int8 --calibration photos/    integers: smaller and faster
  python -m semcomp.edge edge/ decode photo.semc            the client, without torch
"""


def build_parser() -> argparse.ArgumentParser:
    """The whole command line. Building it imports nothing beyond argparse."""
    from semcomp.cli import generative_options

    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="semcomp",
        description="A learned image codec: photo -> .semc -> photo, exact on every machine.",
        epilog=_EPILOG,
        formatter_class=raw,
    )
    parser.add_argument("--version", action="store_true", help="print the version and stop")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")

    output = argparse.ArgumentParser(add_help=False)
    output.add_argument("--json", action="store_true", help="one JSON object a line on stdout, with stable keys")
    output.add_argument("--quiet", action="store_true", help="no lines and no progress; errors only")
    output.add_argument("-v", "--verbose", action="store_true", help="say more, and show tracebacks")

    model = argparse.ArgumentParser(add_help=False)
    model.add_argument("--model", default="base", metavar="NAME", help="weights: a name or a .safetensors path (base)")
    model.add_argument("--device", metavar="DEVICE", help="cpu, cuda, cuda:1, mps (cpu)")
    model.add_argument("--threads", type=_jobs, metavar="N", help="CPU threads in all (every core)")

    parallel = argparse.ArgumentParser(add_help=False)
    parallel.add_argument(
        "-j", "--jobs", type=_jobs, default=1, metavar="N", help="processes (1; 0: one for each core)"
    )

    written = argparse.ArgumentParser(add_help=False)
    written.add_argument("-o", "--output", metavar="OUT", help="a file, a folder (mirrors the tree), or - for stdout")
    written.add_argument("-f", "--force", action="store_true", help="overwrite files that exist")

    batch = argparse.ArgumentParser(add_help=False, parents=[written, parallel])
    batch.add_argument("inputs", nargs="+", metavar="IN", help="files, folders, globs, or - for stdin")

    convert = argparse.ArgumentParser(add_help=False)
    convert.add_argument(
        "--convert", action="store_true", help="convert 16-bit, CMYK, animations instead of refusing them"
    )

    target = argparse.ArgumentParser(add_help=False, parents=[convert])
    exclusive = target.add_mutually_exclusive_group()
    exclusive.add_argument("-q", "--quality", type=_whole(1, 100, "quality"), metavar="1..100", help="quality (50)")
    exclusive.add_argument("--bpp", type=_positive, metavar="X", help="at most X bits a pixel")
    exclusive.add_argument("--max-bytes", type=parse_size, metavar="SIZE", help="at most this size, such as 20k")
    exclusive.add_argument("--psnr", type=_positive, metavar="X", help="at least X dB, in the smallest file")
    target.add_argument("--strip", action="store_true", help="drop the ICC profile and EXIF")

    encode = commands.add_parser(
        "encode",
        parents=[batch, target, model, output],
        formatter_class=raw,
        epilog=_ENCODE_EPILOG,
        help="images -> .semc",
        description="Compress images into .semc files. No option is needed.",
    )
    semantic = encode.add_argument_group("semantics stored in the file")
    semantic.add_argument(
        "--semantics",
        nargs="?",
        const=SEMANTICS,
        type=_parts,
        metavar="labels,map",
        help="run heads and store labels with scores, a label map, or both (both)",
    )
    semantic.add_argument(
        "--head", action="append", metavar="NAME", help="head to run: a name or a file; may be repeated (objects)"
    )
    semantic.add_argument(
        "--grid",
        type=_whole(1, 64, "grid"),
        metavar="N",
        help="one cell of the map for N x N pixels (4; 8 where the map guides a generator)",
    )
    semantic.add_argument("--label-map", metavar="PNG", help="store this label map: a palette or grey PNG")
    semantic.add_argument("--classes", metavar="TXT", help="the names of its classes, one a line")
    semantic.add_argument(
        "--tag", action="append", type=_tag, metavar="NAME[=SCORE]", help="store this label; may be repeated"
    )
    generative_options.add_encode_options(encode)
    encode.set_defaults(module="semcomp.cli.encode")

    decode = commands.add_parser(
        "decode",
        parents=[batch, model, output],
        formatter_class=raw,
        epilog=_DECODE_EPILOG,
        help=".semc -> images",
        description="Turn .semc files back into images (PNG unless told otherwise).",
    )
    decode.add_argument("--format", metavar="FMT", help="png, webp, tiff, bmp, ppm (lossless), jpg or avif")
    generative_options.add_decode_options(decode)
    decode.set_defaults(module="semcomp.cli.decode")

    reading = argparse.ArgumentParser(add_help=False, parents=[parallel, convert])
    reading.add_argument(
        "inputs", nargs="+", metavar="FILE", help=".semc files, pictures, folders, globs, or - for stdin"
    )
    reading.add_argument(
        "-q",
        "--quality",
        type=_whole(1, 100, "quality"),
        metavar="1..100",
        help="quality at which pictures are encoded first (75)",
    )

    classify = commands.add_parser(
        "classify",
        parents=[reading, model, output],
        formatter_class=raw,
        epilog=_CLASSIFY_EPILOG,
        help="what pictures show, from their latents",
        description="Say what .semc files show. Heads read the latents: no pixel is decoded.",
    )
    classify.add_argument("--head", default="objects", metavar="NAME", help="a head's name or file (objects)")
    classify.add_argument("--top", type=_whole(1, 1000, "count"), default=5, metavar="N", help="labels a file (5)")
    classify.set_defaults(module="semcomp.cli.classify")

    segment = commands.add_parser(
        "segment",
        parents=[reading, written, model, output],
        formatter_class=raw,
        epilog=_SEGMENT_EPILOG,
        help="label maps, from latents or stored",
        description="Write the label map of .semc files as PNG.",
    )
    segment.add_argument("--head", metavar="NAME", help="a head's name or file (objects)")
    segment.add_argument("--fresh", action="store_true", help="run the head even where the file holds a map")
    segment.add_argument("--overlay", action="store_true", help="the picture under the map's colours, with a legend")
    segment.set_defaults(module="semcomp.cli.segment")

    info = commands.add_parser(
        "info",
        parents=[output],
        help="what a .semc file says about itself",
        description="Check .semc files and say what is in them. Nothing is decoded.",
    )
    info.add_argument("inputs", nargs="+", metavar="FILE", help=".semc files, or - for stdin")
    info.set_defaults(module="semcomp.cli.info")

    compare = commands.add_parser(
        "compare",
        parents=[target, model, output],
        help="one page beside JPEG, WebP and AVIF of equal size",
        description="Write one self-contained page: slider, zoomed crops, bytes and PSNR at equal bytes.",
    )
    compare.add_argument("input", metavar="IN", help="an image, or - for stdin")
    compare.add_argument("-o", "--output", metavar="PAGE", help="the page (IN with the suffix .compare.html)")
    compare.add_argument("-f", "--force", action="store_true", help="overwrite a page that exists")
    compare.set_defaults(module="semcomp.cli.compare")

    from semcomp.cli.eval_options import add_eval

    add_eval(commands, [parallel, convert, model, output])

    models = commands.add_parser(
        "models",
        parents=[output],
        help="the codecs, heads and generators at hand",
        description="List codecs with their parameters, kMAC a pixel and ids, heads and generators with their classes.",
    )
    models.add_argument("names", nargs="*", metavar="NAME", help="names or .safetensors paths (all inside the package)")
    models.set_defaults(module="semcomp.cli.models")

    export = commands.add_parser(
        "export",
        parents=[output],
        formatter_class=raw,
        epilog=_EXPORT_EPILOG,
        help="ONNX graphs for clients without torch",
        description="Write graphs, tables and a manifest into a folder, and compare onnxruntime with torch.",
    )
    export.add_argument("format", choices=("onnx",), help="onnx")
    export.add_argument("-o", "--output", required=True, metavar="DIR", help="the folder")
    export.add_argument("-f", "--force", action="store_true", help="overwrite an export that exists")
    export.add_argument("--parts", type=_names, default=("all",), metavar="A,B", help="all, or some parts (all)")
    export.add_argument("--model", default="base", metavar="NAME", help="weights: a name or a .safetensors path (base)")
    export.add_argument("--heads", type=_names, metavar="A,B", help="names or files of heads (all that are installed)")
    export.add_argument(
        "--generators", type=_names, metavar="A,B", help="names or files of generators (all that come with the package)"
    )
    export.add_argument("--int8", action="store_true", help="analysis, synthesis and heads in 8-bit integers")
    export.add_argument("--calibration", metavar="DIR", help="photos that set the scales of --int8 (the sample photo)")
    export.set_defaults(module="semcomp.cli.export")

    doctor = commands.add_parser(
        "doctor",
        parents=[output],
        help="versions, devices, extras, and a one-second self-test of exactness",
        description="Say what is installed and prove that symbols decode exactly on this machine.",
    )
    doctor.set_defaults(module="semcomp.cli.doctor")
    return parser
