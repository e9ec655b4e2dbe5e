"""The tables of the JPEG standard (ITU-T T.81, Annex K), and the order of coefficients in files."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ZIGZAG: NDArray[np.int64] = np.array(
    sorted(range(64), key=lambda k: (k // 8 + k % 8, k // 8 if (k // 8 + k % 8) % 2 else k % 8)), np.int64
)
"""Place in rows of the n-th coefficient in a file."""

LUMA = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    np.int64,
).reshape(64)
"""Quantisation steps of luma at quality 50, in rows."""

CHROMA = np.full((8, 8), 99, np.int64)
"""Quantisation steps of chroma at quality 50, in rows."""
CHROMA[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]
CHROMA = CHROMA.reshape(64)

DC_CODES = (
    (bytes.fromhex("00010501010101010100000000000000"), bytes(range(12))),
    (bytes.fromhex("00030101010101010101010000000000"), bytes(range(12))),
)
"""Huffman codes of DC for luma and chroma (tables K.3 and K.4): number of codes of 1 to 16 bits, and the symbols."""

AC_CODES = (
    (
        bytes.fromhex("0002010303020403050504040000017d"),
        bytes.fromhex(
            "01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728"
            "292a3435363738393a434445464748494a535455565758595a636465666768696a737475767778797a83848586878889"
            "8a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2"
            "e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa"
        ),
    ),
    (
        bytes.fromhex("00020102040403040705040400010277"),
        bytes.fromhex(
            "000102031104052131061241510761711322328108144291a1b1c109233352f0156272d10a162434e125f11718191a26"
            "2728292a35363738393a434445464748494a535455565758595a636465666768696a737475767778797a828384858687"
            "88898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9da"
            "e2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8f9fa"
        ),
    ),
)
"""Huffman codes of AC for luma and chroma (tables K.5 and K.6)."""


def at_quality(base: NDArray[np.int64], quality: float) -> NDArray[np.int64]:
    """Scale the steps of quality 50 as libjpeg does.

    Args:
        base: Steps at quality 50.
        quality: 1 to 100.

    Example:
        >>> int(at_quality(LUMA, 25)[0]), int(at_quality(LUMA, 100)[0])
        (32, 1)
    """
    percent = 5000 / quality if quality < 50 else 200 - 2 * quality
    return np.clip((base * percent + 50) // 100, 1, 255).astype(np.int64)
