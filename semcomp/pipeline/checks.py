"""Checksums of the decoded symbols, which a file's header stores."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semcomp.bitstream.container import Container, Header
from semcomp.bitstream.keep_mask import unpack_keep
from semcomp.bitstream.origin import regions_of
from semcomp.bitstream.symbol_stream import symbol_crc
from semcomp.types import Symbols

Z_CHECK = 0xFFFF
"""The bits of z's checksum that a header holds."""


def with_checks(header: Header, symbols: Symbols) -> Header:
    """Copy a header and fill in the checksums of its symbols."""
    crc = header_crc(header, symbols.keep, symbols.z, symbols.y)
    return replace(header, symbol_crc=crc, z_check=header_crc(header, symbols.keep, symbols.z) & Z_CHECK)


def header_crc(header: Header, keep: NDArray[np.bool_] | None, *latents: NDArray[Any]) -> int:
    """CRC-32 of symbols and of everything else that decides the picture: size, mode, flags, quality and regions.

    A header that was changed together with its own checksum is therefore noticed.
    """
    rest = struct.pack("<IIIB", header.width, header.height, header.flags << 4 | header.mode, header.quality)
    if keep is not None:
        rest += np.packbits(keep).tobytes()
    return zlib.crc32(rest, symbol_crc(*latents))


def keep_of(container: Container, *, plain: bool = False) -> NDArray[np.bool_] | None:
    """Positions that are coded. None for all."""
    header, regions = container.header, regions_of(container)
    return None if regions is None else unpack_keep(regions, width=header.width, height=header.height, plain=plain)
