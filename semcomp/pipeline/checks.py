"""Checksums of the decoded symbols, stored in a file's header."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace

import numpy as np

from semcomp.bitstream.container import Header
from semcomp.bitstream.symbol_stream import symbol_crc
from semcomp.types import Symbols

Z_CHECK = 0xFFFF
"""Bits of the checksum of z that a header holds."""


def with_checks(header: Header, symbols: Symbols) -> Header:
    """The header with the checks of its symbols."""
    crc, z_crc = _crc(header, symbols.keep, symbols.z, symbols.y), _crc(header, symbols.keep, symbols.z)
    return replace(header, symbol_crc=crc, z_check=z_crc & Z_CHECK)


def _crc(header: Header, keep: np.ndarray | None, *latents: np.ndarray) -> int:
    """Checksum of symbols, tied to what else decides the picture: a wrong size, quality or region is noticed."""
    rest = struct.pack("<IIIB", header.width, header.height, header.flags << 4 | header.mode, header.quality)
    if keep is not None:
        rest += np.packbits(keep).tobytes()
    return zlib.crc32(rest, symbol_crc(*latents))
