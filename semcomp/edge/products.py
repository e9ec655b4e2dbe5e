"""Does onnxruntime sum products of bytes exactly on this machine? The tables of a file depend on it.

An export writes down what its integer graphs give for the extreme values of bytes. The client runs them once and
compares. Processors that sum pairs of products in 16 bits would saturate there.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semcomp.edge.bundle import Bundle
from semcomp.errors import ModelError

PROBES = "products"
"""The entry of the manifest: CRC-32 of each graph's result, by the graph's name."""
QUALITY, NUMBER = 50, 2
"""Quality and pass of the comparison."""
_GRID, _PLACES = (3, 5), 20


def extremes(*shape: int) -> NDArray[np.int8]:
    """-127 and 127 in an order without a short period."""
    number = np.arange(int(np.prod(shape)), dtype=np.int64)
    signs = (number * 40503 >> 7 ^ number >> 3) & 1
    values: NDArray[np.int8] = (254 * signs - 127).astype(np.int8).reshape(shape)
    return values


def probe_of_sigma(hyper: int) -> NDArray[np.int8]:
    """The z that the sigma path is compared on, (Z, 3, 5)."""
    return extremes(hyper, *_GRID)


def probe_of_refine(latents: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """What the refinement is compared on: `seen` (M, 4, 20) and sums (M, 20) in the middle of the tables."""
    return extremes(latents, 4, _PLACES), np.full((latents, _PLACES), 32 << 10, np.float32)


def checksum(numbers: NDArray[Any]) -> int:
    """CRC-32 of integers of any type."""
    return zlib.crc32(np.ascontiguousarray(numbers).astype("<i4").tobytes())


def check_products(bundle: Bundle) -> None:
    """Compare the integer graphs with the manifest. Every bundle is compared once.

    Raises:
        ModelError: A sum is wrong.
    """
    if bundle.products_are_exact:
        return
    sizes, quality = bundle.manifest["sizes"], np.array([QUALITY], np.int64)
    output = "sums" if sizes["refined"] else "index"
    z_hat = probe_of_sigma(sizes["hyper"]).astype(np.float32)[None]
    found = {"sigma": bundle.run("sigma", (output,), z_hat=z_hat, quality=quality)[0]}
    if sizes["refined"]:
        seen, sums = probe_of_refine(sizes["latents"])
        number = np.array([NUMBER], np.int64)
        found["refine"] = bundle.run("refine", ("index",), seen=seen, sums=sums, number=number, quality=quality)[0]
    for name, expected in bundle.manifest.get(PROBES, {}).items():
        if checksum(found[name]) != expected:
            raise ModelError(
                f"onnxruntime does not sum the products of the graph {name} exactly on this machine, so files would be "
                "read wrongly; use the version of onnxruntime that constraints.txt names, or the library"
            )
    bundle.products_are_exact = True
