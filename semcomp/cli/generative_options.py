"""Options of `encode` and `decode` for pictures that a generator completes, and the arguments that they become."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace, _ArgumentGroup
from collections.abc import Callable
from typing import Any

from semcomp.cli.argument_types import box, renaming, whole_number
from semcomp.cli.exit_codes import UsageError
from semcomp.cli.failures import check_readable, concerning
from semcomp.cli.shared_options import first_given

LARGEST_QUALITY = 15
"""Largest quality of --mode generative. Above it the faithful decoder is the better choice."""
QUALITY = 10
"""Default quality of --mode generative."""
KEEP_DILATE = 16
"""Pixels by which what is kept grows, which is the library's default."""
REST_QUALITY = 15
"""Default quality of what --keep leaves over, which is the library's."""
OWN_GENERATOR = {"street": "street"}
"""Maps a head to the generator that was trained for its label maps. Other heads use the default generator."""

_whole = whole_number(0, 1 << 31)


def add_encode_options(parser: ArgumentParser) -> None:
    """Add --mode, --keep and the options that go with them."""
    group = parser.add_argument_group("pictures that a generator completes")
    group.add_argument(
        "--mode",
        choices=("faithful", "generative"),
        default="faithful",
        help=f"generative: a tiny file whose decoder synthesises the details (quality 1..{LARGEST_QUALITY}, {QUALITY})",
    )
    group.add_argument("--map", action="store_true", help="with --mode generative: store a label map that guides it")
    group.add_argument(
        "--keep",
        action="append",
        metavar="CLASSES",
        help="these classes (people,car) have the quality, the rest has a low one; by --head or --label-map",
    )
    group.add_argument("--keep-mask", metavar="PNG", help="keep the pixels that are not zero in this image")
    group.add_argument("--keep-box", action="append", type=box, metavar="X,Y,W,H", help="keep this box (repeatable)")
    group.add_argument(
        "--rest-quality",
        type=whole_number(1, 100),
        metavar="1..100",
        help=f"quality of what is not kept ({REST_QUALITY})",
    )
    group.add_argument(
        "--drop", action="store_true", help="store nothing of what is not kept; the decoder synthesises it"
    )
    group.add_argument("--keep-dilate", type=_whole, metavar="N", help=f"grow what is kept by N pixels ({KEEP_DILATE})")
    group.add_argument("--generator", metavar="NAME", help="generator to make the file for: a name or a file")


def add_decode_options(parser: ArgumentParser) -> None:
    """Add --generator and the options that go with it."""
    add_completion_options(parser).add_argument(
        "--show-synthesised", action="store_true", help="write an overlay that tints everything that is not real"
    )


def add_completion_options(parser: ArgumentParser) -> _ArgumentGroup:
    """Add --generator, --seed and --relabel to a new group; returns the group."""
    group = parser.add_argument_group("pictures that a generator completes")
    group.add_argument(
        "--generator",
        metavar="WHICH",
        help="faithful: synthesise nothing; realistic; or a generator's name or file (what the file was made for)",
    )
    group.add_argument("--seed", type=_whole, default=0, metavar="N", help="seed of the synthesised texture (0)")
    group.add_argument(
        "--relabel",
        action="append",
        type=renaming,
        metavar="OLD=NEW",
        help="synthesise one class of the stored label map as another; may be repeated",
    )
    return group


def is_selective(options: Namespace) -> bool:
    """Return whether the options keep only a part of the picture."""
    return any(getattr(options, name, None) for name in ("keep", "keep_mask", "keep_box"))


def is_generative(options: Namespace) -> bool:
    """Return whether a decoder will synthesise any part of the picture."""
    return getattr(options, "mode", "faithful") == "generative" or (is_selective(options) and options.drop)


def check(options: Namespace, inputs: int) -> None:
    """Check the options before the first file is read.

    Raises:
        UsageError: The options contradict each other.
        Fault: A file that they name cannot be read.
        ModelError: The generator is missing.
        ImageError: The head knows no class of that name.
    """
    generative = getattr(options, "mode", "faithful") == "generative"
    if generative and is_selective(options):
        raise UsageError("--mode generative synthesises the whole picture, --keep all but a part: give one of the two")
    if options.map and not generative:
        raise UsageError("--map belongs to --mode generative; with --keep the label map is stored anyway")
    if not is_selective(options) and (flag := first_given(options, ("drop", "rest_quality", "keep_dilate"))):
        raise UsageError(f"{flag} goes with what is kept: give --keep, --keep-mask or --keep-box too")
    if options.drop and options.rest_quality is not None:
        raise UsageError("--drop stores nothing of the rest, --rest-quality codes it: give one of the two")
    check_readable(options.keep_mask, what="the mask")
    if options.keep_mask and inputs > 1:
        raise UsageError("--keep-mask belongs to one picture, and there are several")
    if options.keep and not _words(options):
        raise UsageError("--keep names no class: write --keep people,car")
    if (head := head_of(options)) is not None:
        from semcomp.semantics.class_names import class_numbers
        from semcomp.semantics.head import Segmenter

        if not isinstance(head, Segmenter):
            raise UsageError(f"the head {head.name} gives no label map: choose a --head that segments")
        class_numbers(_words(options), head.classes)
    elif options.head and not (options.semantics or is_generative(options)):
        raise UsageError(
            "--head makes a label map, and none is asked of it: give --keep or --semantics, or leave it out"
        )
    if not is_generative(options):
        if options.generator:
            raise UsageError("--generator says who completes the picture: give --mode generative, or --keep and --drop")
        return
    if generative and (options.quality or 1) > LARGEST_QUALITY:
        raise UsageError(f"--mode generative takes a quality from 1 to {LARGEST_QUALITY}, not {options.quality}")
    if options.semantics and "map" in options.semantics:
        raise UsageError("the label map that guides the generator is the one that is stored: give --semantics labels")
    generator_of(options)


def head_of(options: Namespace) -> Any:
    """Load the head that makes the label map. Returns None if no map is stored, or if the user gives one."""
    from semcomp.cli.latents_input import get_head, heads_in_words, usual_head

    if options.label_map or not (options.map or options.keep or (is_selective(options) and options.drop)):
        return None
    if not options.head and (name := usual_head(options, "segment")):
        options.head = [name]
    if not options.head:
        raise UsageError(f"a label map is needed: {heads_in_words(options, maps=True)}; or give a --label-map")
    if len(options.head) > 1 and not options.semantics:
        raise UsageError("one head makes the label map, and --head is given twice: leave one out")
    return get_head(options.head[0], options)


def generator_of(options: Namespace) -> Any:
    """Load the generator that files are made for. Raises ModelError if it is missing."""
    from semcomp.cli.batch import edge_codec_of, on_graphs
    from semcomp.pipeline.completion import DEFAULT_GENERATOR

    name = options.generator or OWN_GENERATOR.get((options.head or [""])[0], DEFAULT_GENERATOR)
    if on_graphs(options):
        return edge_codec_of(options).generator(name)
    from semcomp.generative.generator_file import load_generator

    return load_generator(name)


def part_arguments(options: Namespace, on_found: Callable[[float], None]) -> dict[str, Any]:
    """Build the argument `generative` or `priority` of `Codec.encode`; empty if the whole picture is coded alike.

    Args:
        options: The options.
        on_found: Hears the share of the picture that was found to be kept.
    """
    if not (is_generative(options) or is_selective(options)):
        return {}
    segmentation = mask = None
    if options.label_map:
        segmentation = given_label_map(options)
    if options.keep_mask:
        from semcomp.semantics.mask_file import read_mask

        with concerning(options.keep_mask, what="the mask"):
            mask = read_mask(options.keep_mask)
    part = {
        "head": head_of(options),
        "segmentation": segmentation,
        "keep": _words(options),
        "mask": mask,
        "boxes": tuple(options.keep_box or ()),
        "dilate": KEEP_DILATE if options.keep_dilate is None else options.keep_dilate,
        "on_found": on_found,
    }
    if not is_generative(options):
        from semcomp.generative.priority import Priority

        return {"priority": Priority(**part, rest_quality=options.rest_quality or REST_QUALITY)}
    from semcomp.generative.guide import GUIDE_CELL
    from semcomp.generative.request import Request

    return {"generative": Request(**part, generator=generator_of(options), cell=options.grid or GUIDE_CELL)}


def given_label_map(options: Namespace) -> Any:
    """Read the label map of --label-map. Raises Fault, which names the file."""
    from semcomp.semantics.label_png import read_label_png

    with concerning(options.label_map, what="the label map"):
        return read_label_png(options.label_map, classes=options.classes, void=options.void)


def _words(options: Namespace) -> tuple[str, ...]:
    return tuple(word for text in options.keep or () for word in text.split(",") if word.strip())


def decode_arguments(options: Namespace) -> dict[str, Any]:
    """Build the arguments of `Codec.decode`; empty if the user asked for nothing."""
    arguments: dict[str, Any] = {}
    if options.generator:
        arguments["generator"] = options.generator
    if options.seed:
        arguments["seed"] = options.seed
    if options.relabel:
        arguments["relabel"] = dict(options.relabel)
    return arguments


def found_in_words(share: float, options: Namespace) -> str:
    """Say how much of a picture was found to be kept, and what becomes of the rest."""
    found = f"{100 * share:.1f} % found to keep"
    if is_generative(options):
        return found
    return f"{found}, the rest at quality {options.rest_quality or REST_QUALITY}" if share else f"{found}: all is kept"


def kept_in_words(data: bytes) -> str:
    """Say how much of the picture in a file is real."""
    from semcomp.bitstream.container import read
    from semcomp.bitstream.origin import read_origin

    origin = read_origin(read(data))
    assert origin is not None
    return f"{100 * origin.kept_share:.0f} % kept, the rest for the generator {origin.generator}"
