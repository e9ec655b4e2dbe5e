"""JPEG files made for the restorer: fewer bytes at equal quality, and any viewer opens them.

This is the compact representation of Jiang et al. (2018) without a network before the codec: gradients through the
restorer move the quantised coefficients themselves. The loss counts the restored picture and what a plain viewer
shows, so that the file is good in both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

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
_CHROMA_SHARE = 0.15
"""Share of the whole error that halving chroma has to make before 4:4:4 is tried. Below it 4:4:4 never wins by much."""
_ADVANTAGE_DB = 0.5
"""PSNR by which 4:4:4 has to lead without the gradient, which gains more for 4:2:0."""
_DB_PER_DOUBLING = 5.0
"""PSNR that twice the bytes are worth, where two files are compared whose sizes differ a little."""


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
    on_step: Callable[[], None] | None = None,
) -> CompactFile:
    """Encode a picture as a JPEG file that was made for a restorer.

    Chroma is halved in both directions (4:2:0). It keeps its resolution (4:4:4) where that is better at the target, as
    for text and line art in colour.

    Args:
        picture: The picture, without alpha.
        restorer: The restorer that the receiver has.
        psnr: Smallest PSNR of the restored picture in dB.
        max_bytes: Largest size of the file.
        bpp: Largest size of the file in bits a pixel.
        scale: Factor on the tables of quality 50, instead of a target. Chroma is halved then.
        strip: Leave ICC profile, EXIF and XMP out.
        config: How to search.
        on_step: Is called whenever the restorer has looked at a part of the picture. How often is not known before.

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

    def prepared(factors: tuple[int, int]) -> PictureEncoder:
        settings = config or CompactConfig()
        return PictureEncoder(picture, restorer, settings, records=records, factors=factors, on_step=on_step)

    first = prepared(_FULL if picture.mode == ColorMode.L else _HALVED)
    if scale is not None:
        return first.encode(scale).finished()
    missed: list[Attempt] = []
    for search in _in_order(_Search(first, target), prepared):
        found = search.best()
        if target.met_by(found):
            return found.finished()
        missed.append(found)
    raise target.missed(min(missed, key=target.excess), metadata=sum(map(len, kept.values())))


def _in_order(first: _Search, prepared: Callable[[tuple[int, int]], PictureEncoder]) -> Iterator[_Search]:
    """The searches with chroma of both resolutions, the one that promises more first.

    The second one is for a target that the first one misses. Only halved chroma can meet a size that full chroma
    misses, and only full chroma a PSNR that halved chroma misses.
    """
    target, second = first.target, None
    if first.encoder.factors == _HALVED and first.chroma_share() >= _CHROMA_SHARE:
        second = _Search(prepared(_FULL), target)
        if second.promise() > first.promise() + _ADVANTAGE_DB:
            yield second
            yield from () if target.psnr is not None else (first,)
            return
    yield first
    if first.encoder.factors == _HALVED and target.psnr is not None:
        yield second or _Search(prepared(_FULL), target)


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


class _Search:
    """The search for the best file with chroma of one resolution.

    A search without the gradient is quick and tells where to begin. The gradient then changes size and quality, of
    drawings by much.
    """

    def __init__(self, encoder: PictureEncoder, target: _Target):
        self.encoder, self.target = encoder, target
        self._sign = 1 if target.psnr is not None else -1
        self._low, self._high = sorted((self._sign * math.log(_FINEST), self._sign * math.log(_COARSEST)))

    def _encoded(self, place: float, *, quick: bool = False) -> Attempt:
        return self.encoder.encode(math.exp(self._sign * place), quick=quick)

    @cached_property
    def _start(self) -> float:
        def met(place: float) -> bool:
            return self.target.met_by(self._encoded(place, quick=True))

        return bisect(met, low=self._low, high=self._high, tries=self.encoder.config.quick_tries)

    @cached_property
    def _probe(self) -> Attempt:
        """A file without the gradient, close to the target."""
        return self._encoded(self._start, quick=True)

    def chroma_share(self) -> float:
        """The error of halved chroma as a share of the whole error at the target."""
        return self.encoder.chroma_error / max(255**2 * 10 ** (-self._probe.psnr_db / 10), 1e-9)

    def promise(self) -> float:
        """PSNR at the target, in which a small difference of bytes is counted."""
        return self._probe.psnr_db - _DB_PER_DOUBLING * math.log2(len(self._probe.data))

    def best(self) -> Attempt:
        """The best file that meets the target, else the one that misses it least."""
        target = self.target
        best: Attempt | None = None
        nearest: Attempt | None = None

        def met(place: float) -> bool:
            nonlocal best, nearest
            attempt = self._encoded(place)
            if target.met_by(attempt):
                if best is None or target.psnr is None or len(attempt.data) <= len(best.data):
                    best = attempt
                return True
            if nearest is None or target.excess(attempt) < target.excess(nearest):
                nearest = attempt
            return False

        search_from(self._start, met, low=self._low, high=self._high, precision=self.encoder.config.precision)
        found = best or nearest
        assert found is not None
        return found
