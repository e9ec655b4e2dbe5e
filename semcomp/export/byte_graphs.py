"""The graphs that decide bits, with products of bytes that are summed in 32-bit integers.

They are written by hand: torch's exporter knows no integer product. Every value behind a product is an integer below
2^24 or such an integer over a power of two, so float32 holds it exactly. A cast of a value that is not negative rounds
down. Processors that sum four products at once (VNNI) are exact. Others would saturate in 16 bits: `Bundle` asks
onnxruntime for exact sums there, and the client compares its sums with the manifest before it uses them. On an emulated
processor with AVX2 alone 76,755 of 76,800 sums of extreme bytes are wrong without that, and none with it.

The sigma path and the refinement take less time than in float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from semcomp.codec.release import Release
from semcomp.edge.products import NUMBER, QUALITY, checksum, probe_of_refine, probe_of_sigma
from semcomp.export.builder import Builder
from semcomp.networks.refine import IntegerRefiner
from semcomp.networks.sigma import SCALES, SHIFT1, SHIFT2, IntegerSigma
from semcomp.pipeline.passes import FOUR

MIDDLE = 128
"""Added to a signed byte, so that it is unsigned."""
SIDE = 4
"""Rows and columns of y for each position of z."""


def sigma_model(sigma: IntegerSigma, *, refined: bool) -> Any:
    """The graph of `SigmaPart`: onnx.ModelProto."""
    weight1, weight2 = sigma.weight1.numpy(), sigma.weight2.numpy()
    width, hyper = weight1.shape[0], weight1.shape[1] // 9
    count = weight2.shape[0] // SIDE**2
    built = Builder()
    rows, columns = (built.shape_of("z_hat", axis) for axis in (2, 3))
    around = _around(built, rows, columns, hyper)
    hidden = _hidden(built, built.bytes_product(around, weight1.T, zero=MIDDLE), sigma.bias1.numpy(), "quality")
    # Columns: row of the 4x4 block, column, channel.
    by_place = weight2.reshape(count, SIDE, SIDE, width).transpose(1, 2, 0, 3).reshape(-1, width)
    scale = 1.0 if refined else 2.0**-SHIFT2
    bias2 = built.line_of(sigma.bias2.numpy() * scale, "quality")
    bias2 = built.add("Tile", bias2, built.constant([1, SIDE**2]))
    sums = built.bytes_product(hidden, by_place.T)
    if not refined:
        sums = built.add("Mul", sums, built.weight(scale))
    sums = built.add("Add", sums, bias2)
    if not refined:
        sums = built.cast(built.clipped(sums, 0, SCALES - 1), "UINT8")
    side, channels, one = (built.constant([value]) for value in (SIDE, SIDE * count, 1))
    blocks = built.add("Reshape", sums, built.add("Concat", rows, columns, side, channels, axis=0))
    lines = built.add("Reshape", built.add("Transpose", blocks, perm=[0, 2, 1, 3]), built.constant([-1, count]))
    shape = (one, built.constant([count]), *(built.add("Mul", size, side) for size in (rows, columns)))
    planes = built.add("Transpose", lines, perm=[1, 0])
    name = "sums" if refined else "index"
    planes = built.add("Reshape", planes, built.add("Concat", *shape, axis=0), **({"output": name} if refined else {}))
    if not refined:
        built.cast(planes, "INT8", output=name)
    return built.model("sigma", [_value("z_hat", "FLOAT", 4), _quality()], [_value(name, _TYPES[name], 4)])


def refine_model(refiner: IntegerRefiner) -> Any:
    """The graph of `RefinePart`: onnx.ModelProto."""
    count, width = refiner.weight2.shape
    built = Builder()
    places, channels, all_places = built.shape_of("sums", 1), built.constant([-1]), built.constant([FOUR])
    flat = built.add("Reshape", "seen", built.constant([count, -1]))
    rows = built.add("Transpose", _unsigned(built, built.cast(flat, "FLOAT")), perm=[1, 0])
    first = built.bytes_product(rows, refiner.weight1.numpy().T, zero=MIDDLE)  # 4 N, K
    later = built.add("Sub", "number", built.constant([1]))
    bias1 = built.add("Gather", built.weight(refiner.bias1.numpy()), later, axis=0)
    bias1 = built.add("Gather", bias1, built.add("Sub", "quality", built.constant([1])), axis=1)
    bias1 = built.add("Reshape", bias1, built.constant([1, width]))
    hidden = _activated(built, first, bias1)
    by_place = built.add("Reshape", hidden, built.add("Concat", all_places, places, built.constant([width]), axis=0))
    seen = built.add("Reshape", "seen", built.add("Concat", channels, built.constant([FOUR]), places, axis=0))
    refined = [_group(built, refiner, group, by_place, seen) for group in range(FOUR)]
    sums = built.add("Add", _interleaved(built, refined, count), "sums")
    scaled = built.add("Mul", sums, built.weight(2.0**-SHIFT2))
    built.cast(built.clipped(scaled, 0, SCALES - 1), "INT8", output="index")
    inputs = [_value("seen", "INT8", 3), _value("sums", "FLOAT", 2), _value("number", "INT64", 1), _quality()]
    return built.model("refine", inputs, [_value("index", "INT8", 2)])


def products(release: Release) -> dict[str, int]:
    """What a client compares its integer graphs with: CRC-32 by graph (semcomp/edge/products.py)."""
    config, refiner = release.config, release.refiner
    if refiner is None:
        return {"sigma": checksum(release.sigma.index_numpy(probe_of_sigma(config.hyper), QUALITY))}
    seen, sums = probe_of_refine(config.latents)
    index = refiner.index(torch.from_numpy(seen), torch.from_numpy(sums), QUALITY, NUMBER)
    found = release.sigma.sums_numpy(probe_of_sigma(config.hyper), QUALITY)
    return {"sigma": checksum(found), "refine": checksum(index.numpy())}


def _group(built: Builder, refiner: IntegerRefiner, group: int, hidden: str, seen: str) -> str:
    """What the channels of one group add to their sums, float32 (1, channels, N)."""
    weight = refiner.weight2.numpy()[group::FOUR]
    place = built.add("Mod", built.add("Add", "number", built.constant([FOUR - group])), built.constant([FOUR]))
    mine = built.add("Squeeze", built.add("Gather", hidden, place, axis=0), built.constant([0]))  # N K
    refined = built.add("Transpose", built.bytes_product(mine, weight.T), perm=[1, 0])
    numbers = built.constant(np.arange(group, len(refiner.weight2), FOUR))
    own = built.add("Gather", built.add("Gather", seen, numbers, axis=0), place, axis=1)
    own = built.cast(built.add("Squeeze", own, built.constant([1])), "FLOAT")
    own = built.add("Mul", own, built.weight(refiner.own.numpy()[group::FOUR, None]))
    return built.add("Add", refined, own)


def _interleaved(built: Builder, groups: list[str], count: int) -> str:
    """Groups of channels, each (M / 4, N), as (M, N). Channel c belongs to group c mod 4."""
    if count % FOUR:  # channels by their number in the list of all groups
        order = np.argsort(np.concatenate([np.arange(group, count, FOUR) for group in range(FOUR)]))
        return built.add("Gather", built.add("Concat", *groups, axis=0), built.constant(order), axis=0)
    wide = [built.add("Unsqueeze", group, built.constant([1])) for group in groups]
    places = built.shape_of("sums", 1)
    shape = built.add("Concat", built.constant([count]), places, axis=0)
    return built.add("Reshape", built.add("Concat", *wide, axis=1), shape)


def _around(built: Builder, rows: str, columns: str, hyper: int) -> str:
    """`sigma.neighbours` of z_hat as bytes above MIDDLE, (positions, 9 Z)."""
    z = built.add("Transpose", _unsigned(built, "z_hat"), perm=[0, 2, 3, 1])
    padding, middle = built.constant([0, 1, 1, 0, 0, 1, 1, 0]), built.constant(MIDDLE, np.uint8)
    padded, axes = built.add("Pad", z, padding, middle), built.constant([1, 2])
    windows = []
    for i in range(3):
        for j in range(3):
            ends = (built.add("Add", size, built.constant([first])) for size, first in ((rows, i), (columns, j)))
            end = built.add("Concat", *ends, axis=0)
            windows.append(built.add("Slice", padded, built.constant([i, j]), end, axes))
    return built.add("Reshape", built.add("Concat", *windows, axis=3), built.constant([-1, 9 * hyper]))


def _unsigned(built: Builder, value: str) -> str:
    """Integers of -127..127 in float32 as bytes above MIDDLE. onnxruntime multiplies signed bytes slowly."""
    return built.add("QuantizeLinear", value, built.weight(1), built.constant(MIDDLE, np.uint8))


def _hidden(built: Builder, sums: str, bias: NDArray[np.int32], number: str) -> str:
    return _activated(built, sums, built.line_of(bias, number))


def _activated(built: Builder, sums: str, bias: str) -> str:
    """clip((sums + bias) >> SHIFT1, 0, 255), bytes."""
    shifted = built.add("Mul", built.add("Add", sums, bias), built.weight(2.0**-SHIFT1))
    return built.cast(built.clipped(shifted, 0, 255), "UINT8")


_TYPES = {"index": "INT8", "sums": "FLOAT"}


def _value(name: str, kind: str, rank: int) -> Any:
    """An input or output. Its shape is set from its `Part`."""
    from onnx import TensorProto, helper

    return helper.make_tensor_value_info(name, getattr(TensorProto, kind), [None] * rank)


def _quality() -> Any:
    return _value("quality", "INT64", 1)
