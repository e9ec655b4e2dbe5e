"""`semcomp encode`: images -> .semc files."""

from __future__ import annotations

import time
from argparse import Namespace
from typing import Any

from semcomp.cli.batch import get_codec, run_batch
from semcomp.cli.files import IMAGE_SUFFIXES, Job, check_target, plan_jobs, read_source, write_target

KEYS = ("width", "height", "input_bytes", "bytes", "bpp", "ratio", "quality", "psnr_db")
TARGETS = ("bpp", "max_bytes", "psnr")


def run(options: Namespace) -> int:
    """Encode every input; returns the exit code."""
    jobs, unusable = plan_jobs(
        options.inputs, output=options.output, read_suffixes=IMAGE_SUFFIXES, write_suffix=".semc"
    )
    return run_batch(encode_one, jobs, unusable, options, keys=KEYS)


def encode_one(job: Job, options: Namespace) -> dict[str, Any]:
    """Encode one file and write it; returns the values of `KEYS` and the line to show."""
    from semcomp.image import open_picture

    check_target(job.target, force=options.force)
    codec = get_codec(options.model, options.device, options.threads)
    start = time.perf_counter()  # loading the weights is no part of the first file
    source = read_source(job.source)
    picture = open_picture(source, convert=options.convert)
    data, quality, psnr_db = encode_with_target(codec, picture, options)
    write_target(job.target, data, force=options.force)
    bpp, ratio = 8 * len(data) / (picture.width * picture.height), len(source) / len(data)
    line = f"{len(data):,} B  {bpp:.2f} bpp  {ratio:.1f}x  {{seconds}}"
    if options.verbose or target_of(options):
        line += f"  quality {quality}" + (f"  {psnr_db:.2f} dB" if psnr_db is not None else "")
    return {
        "width": picture.width, "height": picture.height, "input_bytes": len(source), "bytes": len(data),
        "bpp": round(bpp, 6), "ratio": round(ratio, 4), "quality": quality, "psnr_db": psnr_db,
        "seconds": time.perf_counter() - start, "line": line,
    }  # fmt: skip


def target_of(options: Namespace) -> dict[str, Any]:
    """The one target that was given, as a keyword for `Codec.encode_to`; empty where there is none."""
    return {name: getattr(options, name) for name in TARGETS if getattr(options, name) is not None}


def encode_with_target(codec: Any, picture: Any, options: Namespace) -> tuple[bytes, int, float | None]:
    """(file, quality, PSNR in dB where it was measured), by quality or by the target of the options."""
    target = target_of(options)
    if target:
        encoded = codec.encode_to(picture, strip=options.strip, **target)
        return encoded.data, encoded.quality, encoded.psnr_db
    quality = options.quality or 50
    return codec.encode(picture, quality=quality, strip=options.strip), quality, None
