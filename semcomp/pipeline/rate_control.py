"""The search for the quality that meets a target of bytes or of PSNR.

Bisection assumes that bytes and PSNR grow with the quality. They do on photos. On flat and tiny pictures both go up and
down: a flat red picture of 64x64 pixels has 52.2 dB at quality 96 and 50.6 dB at 100. Where the attempts of the
bisection show that, or where it just misses the target, more qualities are tried.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

from semcomp.errors import TargetError
from semcomp.types import QUALITIES

SCANNED_PIXELS = 1 << 16
"""Up to this size every quality may be tried, which takes about a second. Larger pictures try every COARSE-th one."""
TINY_PIXELS = 1 << 12
"""Up to this size every quality is tried before a target is refused."""
COARSE = 5
TRIES = 3
"""Qualities that are tried with an effort above 5."""
ROUNDING_DB = 0.05
"""PSNR may fall by this much from one quality to a higher one and still counts as growing."""
NEAR_DB, NEAR_BYTES = 3.0, 1.25
"""Bisection just misses a target where it comes within this distance, in dB or as a factor of bytes."""


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """A file that was made for a target."""

    data: bytes
    """The file."""
    quality: int
    """The quality that was chosen, 1..100."""
    bpp: float
    """Bits of the file per pixel."""
    psnr_db: float | None
    """PSNR against the input. None where the target is a size and the effort at most 5: it was not computed."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A file of at most `max_bytes`, or of at least `psnr_db`. Exactly one of them is set."""

    max_bytes: float | None = None
    psnr_db: float | None = None

    def met_by(self, encoded: Encoded) -> bool:
        """Whether a file meets the target."""
        return self._excess(encoded) <= 0

    def rank(self, encoded: Encoded) -> tuple[float, float]:
        """Sort key of the files that meet the target: the smallest for a PSNR, the highest quality for a size."""
        if self.psnr_db is not None:
            return len(encoded.data), -_db(encoded)
        return -encoded.quality, len(encoded.data)

    def nearest(self, tried: Iterable[Encoded]) -> Encoded:
        """The file that comes nearest to the target, where none meets it."""
        return min(tried, key=lambda encoded: (self._excess(encoded), encoded.quality))

    def nearly_met_by(self, encoded: Encoded) -> bool:
        """Whether a file that misses the target misses it so little that another quality may meet it."""
        if self.psnr_db is not None:
            return self._excess(encoded) <= NEAR_DB
        assert self.max_bytes is not None
        return len(encoded.data) <= NEAR_BYTES * self.max_bytes

    def grows_over(self, tried: Iterable[Encoded]) -> bool:
        """Whether bytes, or PSNR, grew with the quality in all attempts."""
        ordered = sorted(tried, key=lambda encoded: encoded.quality)
        pairs = pairwise(ordered)
        if self.psnr_db is not None:
            return all(_db(high) >= _db(low) - ROUNDING_DB for low, high in pairs)
        return all(len(high.data) >= len(low.data) for low, high in pairs)

    def missed(self, nearest: Encoded) -> TargetError:
        """The error for a target that no quality meets."""
        size = f"quality {nearest.quality} gives {len(nearest.data):,} bytes"
        if self.psnr_db is not None:
            return TargetError(
                f"no quality reaches {self.psnr_db:g} dB: the best is {_db(nearest):.2f} dB, {size}; ask for less, or "
                "store the picture losslessly"
            )
        return TargetError(
            f"no quality reaches {self.max_bytes:,.0f} bytes: {size}, which is the smallest file; encode a smaller "
            "picture, or strip its metadata"
        )

    def moved(self, plain: Encoded, fitted: Encoded) -> Target:
        """What a plain file has to meet so that the fitted one of its quality meets this target."""
        if self.psnr_db is not None:
            return Target(psnr_db=self.psnr_db + _db(plain) - _db(fitted))
        assert self.max_bytes is not None
        return Target(max_bytes=self.max_bytes * len(plain.data) / len(fitted.data))

    def _excess(self, encoded: Encoded) -> float:
        if self.psnr_db is not None:
            return self.psnr_db - _db(encoded)
        assert self.max_bytes is not None
        return len(encoded.data) - self.max_bytes


def search(attempt: Callable[[int], Encoded], target: Target, *, pixels: int) -> Encoded:
    """Find the best file that meets a target.

    Args:
        attempt: Makes the file of a quality. It is called at most once per quality.
        target: What the file has to meet.
        pixels: Pixels of the picture, which decide how many qualities may be tried.

    Returns:
        The smallest file for a PSNR, the file of the highest quality for a size.

    Raises:
        TargetError: No quality that was tried meets the target. The message names the one that comes nearest.
    """
    tried: dict[int, Encoded] = {}

    def met(quality: int) -> bool:
        if quality not in tried:
            tried[quality] = attempt(quality)
        return target.met_by(tried[quality])

    _bisect(met, upwards=target.psnr_db is None)
    found = [encoded for encoded in tried.values() if target.met_by(encoded)]
    near = pixels <= TINY_PIXELS or target.nearly_met_by(target.nearest(tried.values()))
    if not target.grows_over(tried.values()) or (not found and near):
        for quality in range(1, QUALITIES + 1, 1 if pixels <= SCANNED_PIXELS else COARSE):
            met(quality)
        if pixels > SCANNED_PIXELS:
            middle = _best(tried.values(), target).quality
            for quality in range(max(1, middle - COARSE + 1), min(QUALITIES, middle + COARSE - 1) + 1):
                met(quality)
    best = _best(tried.values(), target)
    if not target.met_by(best):
        raise target.missed(best)
    return best


def search_refined(
    plain: Callable[[int], Encoded], fitted: Callable[[int], Encoded], target: Target, *, pixels: int
) -> Encoded:
    """Find the best file that meets a target where an attempt takes seconds.

    Fitted files have other sizes and PSNR than plain ones of their quality, by about the same factor at the next
    quality. So plain files, which are quick, say which quality to try next.

    Args:
        plain: Makes the file of a quality with effort 5, with its PSNR.
        fitted: Makes the file of a quality with a higher effort, with its PSNR. It is called at most TRIES times.
        target: What the file has to meet.
        pixels: As for `search`.

    Returns:
        The file of the lowest size for a PSNR, of the highest PSNR for a size.

    Raises:
        TargetError: No quality meets the target with effort 5.
    """
    known: dict[int, Encoded] = {}

    def remembered(quality: int) -> Encoded:
        if quality not in known:
            known[quality] = plain(quality)
        return known[quality]

    best = search(remembered, target, pixels=pixels)
    quality, tried = best.quality, set[int]()
    while quality not in tried and len(tried) < TRIES:
        tried.add(quality)
        made = fitted(quality)
        if target.met_by(made) and _gain(made, target) > _gain(best, target):
            best = made
        try:
            quality = search(remembered, target.moved(remembered(quality), made), pixels=pixels).quality
        except TargetError:
            break
    return best


def _gain(encoded: Encoded, target: Target) -> float:
    return _db(encoded) if target.psnr_db is None else -len(encoded.data)


def _best(tried: Iterable[Encoded], target: Target) -> Encoded:
    """The best file that meets the target, or the one that comes nearest."""
    tried = list(tried)
    found = [encoded for encoded in tried if target.met_by(encoded)]
    return min(found, key=target.rank) if found else target.nearest(tried)


def _bisect(met: Callable[[int], bool], *, upwards: bool) -> None:
    """Try the qualities around the border between those that meet a target and the others.

    `upwards`: low qualities meet it, and the highest of them is wanted. Otherwise high ones do.
    """
    low, high = 1, QUALITIES
    while low <= high:
        number = (low + high) // 2
        if met(number if upwards else QUALITIES + 1 - number):
            low = number + 1
        else:
            high = number - 1


def _db(encoded: Encoded) -> float:
    return -math.inf if encoded.psnr_db is None else encoded.psnr_db
