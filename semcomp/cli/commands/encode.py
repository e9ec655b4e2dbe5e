"""`semcomp encode`: images -> .semc files."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from semcomp.cli import effort_option, generative_options, jpeg_output, lossless_options
from semcomp.cli.argument_types import SEMANTICS, semantics_kinds, tag, void_number, whole_number
from semcomp.cli.batch import codec_of, run_batch
from semcomp.cli.exit_codes import UsageError
from semcomp.cli.failures import check_readable
from semcomp.cli.first_look import at_picture
from semcomp.cli.latents_input import HEAD_HELP, get_embedder, get_head, heads_in_words, usual_head
from semcomp.cli.paths import IMAGE_SUFFIXES, Job, check_target, plan_jobs, read_source, write_target
from semcomp.cli.shared_options import TARGETS, NewParser, SharedOptions

if TYPE_CHECKING:
    from semcomp.imaging.picture import Picture

KEYS = (
    *("width", "height", "input_bytes", "bytes", "bpp", "ratio", "quality", "psnr_db"),
    *("semantics_bytes", "found_share", "near"),
)

_EPILOG = """\
examples:
  semcomp encode photo.jpg                          photo.semc, quality 50
  semcomp encode photo.jpg -q 80 -o best.semc
  semcomp encode 'photos/**/*.png' -o out/ -j 4     the tree below photos/, mirrored into out/
  semcomp encode photos/ --max-bytes 20k            each file at most 20,000 bytes (20Ki: 20,480)
  semcomp encode photo.png --psnr 36                the smallest file of at least 36 dB
  semcomp encode photo.png --effort 9               a better file, which takes much longer
  cat photo.png | semcomp encode - > photo.semc
  semcomp encode scan.png --lossless                every sample exactly; 8 or 16 bits, grey or RGB
  semcomp encode shots/ --lossless auto             exact where the lossy codec would spoil a drawing or be larger
  semcomp encode photo.png --near 2                 no sample is off by more than 2
  semcomp encode drive.jpg --semantics --head street     labels and a label map go into the file
  semcomp encode photos/ -o small/ --semantics embed     an embedding, which semcomp index takes as it is
  semcomp encode photo.jpg --preview 48             a thumbnail goes into the file, for a page that loads it
  semcomp encode photo.jpg --tag dog=0.98 --tag beach
  semcomp encode photo.png --mode generative --map  a tiny file; its decoder synthesises the details
  semcomp encode street.png --keep people,car --head street        these at the quality, the rest at a low one
  semcomp encode street.png --keep people,car --head street --drop the decoder synthesises the rest
  semcomp encode photo.png --as jpeg --psnr 33      a JPEG file, made for semcomp restore
"""


def add_parser(new_parser: NewParser, shared: SharedOptions) -> None:
    """Add the command and its options."""
    parser = new_parser(
        parents=[shared.batch, shared.target, shared.model, shared.output],
        epilog=_EPILOG,
        description="Compress images into .semc files. No option is needed.",
    )
    _add_semantics_options(parser)
    effort_option.add(parser)
    parser.add_argument(
        "--preview",
        nargs="?",
        const=48,
        type=whole_number(1, 4096),
        metavar="BYTES",
        help="store a thumbnail of at most this many bytes, shown while the file loads (48)",
    )
    lossless_options.add_encode_options(parser)
    generative_options.add_encode_options(parser)
    jpeg_output.add_options(parser)
    parser.set_defaults(run=run)


def _add_semantics_options(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("semantics stored in the file")
    group.add_argument(
        "--semantics",
        nargs="?",
        const=SEMANTICS,
        type=semantics_kinds,
        metavar="KINDS",
        help="run heads and store labels with scores, a label map, or both: labels, map (both); embed: an embedding",
    )
    group.add_argument(
        "--embedder", metavar="NAME", help="head whose features are the embedding, or latents (embed, else objects)"
    )
    group.add_argument("--head", action="append", metavar="NAME", help=f"{HEAD_HELP}; may be repeated")
    group.add_argument(
        "--grid",
        type=whole_number(1, 64),
        metavar="N",
        help="one cell of the map for N x N pixels (4; 8 where the map guides a generator)",
    )
    group.add_argument("--label-map", metavar="PNG", help="store this label map: a palette or grey PNG")
    group.add_argument("--classes", metavar="TXT", help="text file with the names of its classes, one a line")
    group.add_argument(
        "--void",
        type=void_number,
        default=255,
        metavar="N",
        help="number in --label-map that means: nothing is known (255)",
    )
    group.add_argument(
        "--tag", action="append", type=tag, metavar="NAME[=SCORE]", help="store this label; may be repeated"
    )


def run(options: Namespace) -> int:
    """Encode every input; returns the exit code."""
    if jpeg_output.is_asked_for(options):
        return jpeg_output.run(options)
    plan = plan_jobs(options.inputs, output=options.output, read_suffixes=IMAGE_SUFFIXES, write_suffix=".semc")
    inputs = len(plan.jobs) + len(plan.unusable)
    return run_batch(encode_one, plan, options, keys=KEYS, check=partial(_check, options, inputs), look=at_picture)


def _check(options: Namespace, inputs: int) -> None:
    lossless_options.check(options)
    effort_option.check(options)
    check_semantics(options, inputs)
    generative_options.check(options, inputs)


def encode_one(job: Job, options: Namespace) -> dict[str, Any]:
    """Encode one file and write it; returns the values of `KEYS` and the line to show."""
    check_target(job.target, options)
    codec = codec_of(options)
    start = time.perf_counter()  # the time of loading the weights does not count for the first file
    source = read_source(job.source)
    found: list[float] = []
    if lossless_options.is_lossless(options):
        picture: Any = lossless_options.read_picture(source)
        data, quality, psnr_db = lossless_options.encode(codec, source, options, semantics=semantics_of(options))
    else:
        picture = read_picture(source, options)
        data, quality, psnr_db = encode_with_target(codec, picture, options, on_found=found.append)
    write_target(job.target, data, force=options.force)
    bpp, ratio = 8 * len(data) / (picture.width * picture.height), len(source) / len(data)
    stored = semantics_bytes(data)
    digits = 3 if bpp < 0.1 else 2
    line = f"{len(data):,} B  {bpp:.{digits}f} bpp  {ratio:.1f}x  {{seconds}}"
    if lossless_options.is_lossless(options):
        line += f"  {lossless_options.in_words(data)}"
    elif options.verbose or target_of(options):
        line += f"  quality {quality}" + (f"  {psnr_db:.2f} dB" if psnr_db is not None else "")
    if stored:
        line += f"  of which semantics {stored:,} B"
    if found:
        line += f"  {generative_options.found_in_words(found[-1], options)}"
    if generative_options.is_generative(options):
        line += f"  {generative_options.kept_in_words(data)}"
    return {
        "semantics_bytes": stored,
        "found_share": round(found[-1], 6) if found else None,
        "near": lossless_options.near_of(data),
        "width": picture.width,
        "height": picture.height,
        "input_bytes": len(source),
        "bytes": len(data),
        "bpp": round(bpp, 6),
        "ratio": round(ratio, 4),
        "quality": quality,
        "psnr_db": psnr_db,
        "seconds": time.perf_counter() - start,
        "line": line,
    }


def read_picture(source: bytes, options: Namespace) -> Picture:
    """Read the bytes of an image file as --convert, --convert-colour and --keep-hidden-colour say."""
    from semcomp.imaging.picture import open_picture

    return open_picture(
        source,
        convert=options.convert,
        convert_colour=options.convert_colour,
        keep_hidden_colour=options.keep_hidden_colour,
    )


def target_of(options: Namespace) -> dict[str, Any]:
    """Return the target of the options as a keyword of `Codec.encode_to`; empty if there is none."""
    return {name: getattr(options, name) for name in TARGETS if getattr(options, name) is not None}


def encode_with_target(
    codec: Any, picture: Any, options: Namespace, *, on_found: Callable[[float], None] = lambda share: None
) -> tuple[bytes, int, float | None]:
    """Encode by the quality or the target of the options. Returns the file, its quality, and the PSNR if measured.

    `on_found` hears the share of the picture that was found to be kept, where a part is.
    """
    target = target_of(options)
    more: dict[str, Any] = {"strip": options.strip}
    if getattr(options, "preview", None):
        more["preview"] = options.preview
    if (semantics := semantics_of(options)) is not None:
        more["semantics"] = semantics
    more |= generative_options.part_arguments(options, on_found)
    with effort_option.arguments(options) as effort:
        more |= effort
        if target:
            encoded = codec.encode_to(picture, **more, **target)
            return encoded.data, encoded.quality, encoded.psnr_db
        usual = generative_options.QUALITY if getattr(options, "mode", "") == "generative" else 50
        quality = options.quality or usual
        return codec.encode(picture, quality=quality, **more), quality, None


def check_semantics(options: Namespace, inputs: int) -> None:
    """Check the options before the first file is read.

    Raises:
        UsageError: The options contradict each other.
        Fault: A file that they name cannot be read.
    """
    if options.label_map and inputs > 1:
        raise UsageError("--label-map belongs to one picture, and there are several")
    if options.classes and not options.label_map:
        raise UsageError("--classes names the classes of a --label-map")
    if options.void != 255 and not options.label_map:
        raise UsageError("--void says which number of a --label-map means that nothing is known")
    if options.tag and options.semantics and "labels" in options.semantics:
        raise UsageError("labels come either from --tag or from a head: give --semantics map beside --tag")
    if options.label_map and options.semantics and "map" in options.semantics:
        raise UsageError("the map comes either from --label-map or from a head: give --semantics labels beside it")
    if options.embedder and "embed" not in (options.semantics or ()):
        raise UsageError("--embedder says who makes the embedding: give --semantics embed too")
    if options.head and not (options.semantics or options.map or generative_options.is_selective(options)):
        raise UsageError("--head says who makes the semantics: give --semantics too")
    if options.grid and not (
        options.label_map or "map" in (options.semantics or ()) or generative_options.is_generative(options)
    ):
        raise UsageError("--grid is the grid of a label map, and none is stored: give --semantics map or --label-map")
    check_readable(options.label_map, what="the label map")
    check_readable(options.classes, what="the list of classes")
    if options.semantics:
        from semcomp.semantics.head import Segmenter

        if "embed" in options.semantics:
            get_embedder(options)
        if options.semantics == ("embed",):
            return
        if not options.head:
            tasks = [task for kind, task in (("labels", "classify"), ("map", "segment")) if kind in options.semantics]
            options.head = [name for name in (usual_head(options, task) for task in tasks) if name] or None
        if not options.head:
            raise UsageError(f"--semantics runs a head: {heads_in_words(options)}")
        heads = _heads(options)
        if "map" in options.semantics and not any(isinstance(head, Segmenter) for head in heads):
            raise UsageError(f"{heads[0].name} gives no label map: give --semantics labels, or a --head that segments")


def _heads(options: Namespace) -> list[Any]:
    return [get_head(name, options) for name in options.head or ()]


def semantics_of(options: Namespace) -> Any:
    """Build the argument `semantics` of `Codec.encode`. Returns None if the user asked for nothing."""
    if not any(getattr(options, name, None) for name in ("semantics", "tag", "label_map")):
        return None
    from dataclasses import replace

    from semcomp.semantics.head import Labels
    from semcomp.semantics.stored import LABEL_CELL, Semantics, from_heads

    labels = segmentation = None
    if options.tag:
        given = sorted(dict(options.tag).items(), key=lambda tag: -tag[1])
        labels = Labels(names=tuple(name for name, _ in given), scores=tuple(score for _, score in given))
    if options.label_map and not generative_options.is_generative(options):
        segmentation = generative_options.given_label_map(options)
    cell = options.grid or LABEL_CELL
    own = Semantics(labels=labels, segmentation=segmentation, cell=cell)
    if not options.semantics:
        return own
    describe = from_heads(
        _heads(options),
        labels="labels" in options.semantics,
        label_map="map" in options.semantics,
        cell=cell,
        embedder=get_embedder(options) if "embed" in options.semantics else None,
    )

    def both(latents: Any) -> Semantics:
        made = describe(latents)
        return replace(made, labels=labels or made.labels, segmentation=segmentation or made.segmentation)

    return both


def semantics_bytes(data: bytes) -> int:
    """Count the bytes of the chunks that hold semantics."""
    from semcomp.bitstream.container import ChunkKind, read_header

    kinds = (ChunkKind.TAGS, ChunkKind.LABEL_MAP, ChunkKind.EMBEDDING)
    return sum(entry.length for entry in read_header(data)[1] if entry.kind in kinds)
