"""JPEG files made for the restorer: fewer bytes at equal quality, and any viewer opens them.

This is the compact representation of Jiang et al. (2018) without a network before the codec: gradients through the
restorer move the quantised coefficients themselves. The loss counts the restored picture and what a plain viewer
shows, so that the file is good in both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from semcomp.bitstream.container import ColorMode
from semcomp.errors import ImageError, TargetError
from semcomp.imaging.exif import EXIF_PREFIX
from semcomp.imaging.picture import Picture
from semcomp.imaging.saving import check_metadata, check_side
from semcomp.jpeg.records import records_of
from semcomp.restoration.compact_encoder import Attempt, CompactConfig, CompactFile, PictureEncoder
from semcomp.restoration.restorer_file import TrainedRestorer
from semcomp.restoration.table_search import bisect, search_from

_FINEST, _COARSEST = 0.02, 12.0
"""Factors on the tables of quality 50 between which the search stays."""
_HALVED, _FULL = (2, 2), (1, 1)
"""How many (rows, columns) of luma share one value of chroma: 4:2:0 and 4:4:4."""


@dataclass(frozen=True, kw_only=True)
class _Target:
    """What a file has to meet: the one figure that is not None."""

    psnr: float | None
    max_bytes: int | None
    bpp: float | None
    pixels: int

    def met_by(self, attempt: Attempt) -> bool:
        return self.excess(attempt) <= 0

    def excess(self, attempt: Attempt) -> float:
        """How much a file misses the target by, in its unit; 0 or less for a file that meets it."""
        if self.psnr is not None:
            return self.psnr - attempt.psnr_db
        return len(attempt.data) - (self.max_bytes if self.max_bytes is not None else self._bytes_of_bpp)

    @property
    def _bytes_of_bpp(self) -> float:
        assert self.bpp is not None
        return self.bpp * self.pixels / 8

    def missed(self, nearest: Attempt, *, metadata: int) -> TargetError:
        """The error for a target that no file meets. `metadata` bytes of the file could be left out."""
        if self.psnr is not None:
            return TargetError(
                f"no JPEG file of this picture reaches {self.psnr:g} dB: the best that was found has "
                f"{nearest.psnr_db:.2f} dB restored; ask for less, or encode it as .semc"
            )
        size = len(nearest.data)
        wish = f"{self.max_bytes:,} bytes" if self.max_bytes is not None else f"{self.bpp:g} bpp"
        found = f"{size:,} bytes" + (f", {8 * size / self.pixels:,.2f} bpp" if self.max_bytes is None else "")
        hint = f"leave out {metadata:,} bytes of metadata with strip=True, or " if metadata else ""
        return TargetError(
            f"no JPEG file of this picture is as small as {wish}: the smallest that was found has {found}; {hint}"
            "encode a smaller picture"
        )


def encode_compact(
    picture: Picture,
    restorer: TrainedRestorer,
    *,
    psnr: float | None = None,
    max_bytes: int | None = None,
    bpp: float | None = None,
    scale: float | None = None,
    strip: bool = False,
    config: CompactConfig | None = None,
) -> CompactFile:
    """Encode a picture as a JPEG file that was made for a restorer.

    Chroma is halved in both directions (4:2:0). It keeps its resolution (4:4:4) where a PSNR cannot be met otherwise.

    Args:
        picture: The picture, without alpha.
        restorer: The restorer that the receiver has.
        psnr: Smallest PSNR of the restored picture in dB.
        max_bytes: Largest size of the file.
        bpp: Largest size of the file in bits a pixel.
        scale: Factor on the tables of quality 50, instead of a target.
        strip: Leave ICC profile, EXIF and XMP out.
        config: How to search.

    Raises:
        ImageError: The picture is transparent, or a side or its metadata is larger than JPEG files hold.
        TargetError: The target cannot be met, or there is not exactly one.
    """
    if picture.alpha is not None:
        raise ImageError("the picture is transparent, and JPEG cannot be: encode it as .semc, or flatten it first")
    if sum(value is not None for value in (psnr, max_bytes, bpp, scale)) != 1:
        raise TargetError("give exactly one of psnr, max_bytes, bpp and scale")
    check_side(picture.width, picture.height, name="jpg", instead="encode it as .semc")
    kept = {} if strip else _checked_metadata(picture)
    records = records_of(**kept, mark=restorer.restorer_id)
    target = _Target(psnr=psnr, max_bytes=max_bytes, bpp=bpp, pixels=picture.width * picture.height)
    layouts = [_FULL] if picture.mode == ColorMode.L else [_HALVED] if psnr is None else [_HALVED, _FULL]
    missed: list[Attempt] = []
    for factors in layouts:
        encoder = PictureEncoder(picture, restorer, config or CompactConfig(), records=records, factors=factors)
        if scale is not None:
            return encoder.encode(scale).finished()
        found = _searched(encoder, target)
        if target.met_by(found):
            return found.finished()
        missed.append(found)
    raise target.missed(min(missed, key=target.excess), metadata=sum(map(len, kept.values())))


def _checked_metadata(picture: Picture) -> dict[str, bytes]:
    """What the picture has beside pixels, as arguments of `records_of`. ImageError for what no JPEG file holds."""
    prefix = {"exif": EXIF_PREFIX}
    given = {"icc": picture.icc, "exif": picture.exif, "xmp": picture.xmp}
    kept = {kind: value for kind, value in given.items() if value}
    for kind, value in kept.items():
        name = "icc_profile" if kind == "icc" else kind
        instead = "leave it out with strip=True, or encode it as .semc"
        check_metadata(name, prefix.get(kind, b"") + value, name="jpg", instead=instead)
    return kept


def _searched(encoder: PictureEncoder, target: _Target) -> Attempt:
    """The best file that meets a target, else the one that misses it least.

    The search without the gradient is quick and tells where to begin. The gradient then changes size and quality, of
    drawings by much.
    """
    sign = 1 if target.psnr is not None else -1
    low, high = sorted((sign * math.log(_FINEST), sign * math.log(_COARSEST)))
    best: Attempt | None = None
    nearest: Attempt | None = None

    def met_quickly(place: float) -> bool:
        return target.met_by(encoder.encode(math.exp(sign * place), quick=True))

    def met(place: float) -> bool:
        nonlocal best, nearest
        attempt = encoder.encode(math.exp(sign * place))
        if target.met_by(attempt):
            if best is None or target.psnr is None or len(attempt.data) <= len(best.data):
                best = attempt
            return True
        if nearest is None or target.excess(attempt) < target.excess(nearest):
            nearest = attempt
        return False

    start = bisect(met_quickly, low=low, high=high, tries=encoder.config.quick_tries)
    search_from(start, met, low=low, high=high, precision=encoder.config.precision)
    found = best or nearest
    assert found is not None
    return found
