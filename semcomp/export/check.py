"""Compares onnxruntime with torch on a small picture.

torch computes in float32. A float graph has to agree with it everywhere, an int8 graph on average.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semcomp.bitstream.frequency_tables import MAX_VALUE
from semcomp.codec.codec import Codec
from semcomp.codec.release import Release
from semcomp.codec.self_test import likely_z, random_z
from semcomp.edge.client import EdgeCodec
from semcomp.export.codec_parts import LabelMapPart
from semcomp.export.part import Part
from semcomp.imaging.picture import Picture, from_array
from semcomp.networks.sigma import clip_z
from semcomp.semantics.head import Classifier, Head
from semcomp.semantics.results import Labels, Segmentation
from semcomp.types import STRIDE_Y, STRIDE_Z, Latents, grid

QUALITIES = (1, 50, 100)
TOLERANCE = 1e-3
"""Limit for float graphs, relative to full scale: 1 for x_hat and scores, else torch's largest magnitude."""
INT8_TOLERANCE, INT8_LABELS = 0.2, 0.2
"""Limits for int8 graphs: RMS error relative to the RMS of torch's output, or the largest error of a probability, and
the share of labels that may change. They find a broken graph, on a picture that is unlike a photo. benchmarks.edge
measures what int8 costs."""
COMPACT_TOLERANCE = 0.03
"""Limit of the RMS error for graphs with coarser weights, and for the largest error of the latents that they give."""
_COARSE = {"int8": INT8_TOLERANCE, "compact": COMPACT_TOLERANCE}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The largest difference of one output from torch, over all qualities."""

    name: str
    value: float
    limit: float
    unit: str

    @property
    def passed(self) -> bool:
        """Whether the difference is within its limit."""
        return self.value <= self.limit

    def __str__(self) -> str:
        return f"{self.name} differs by {self.value:.3g} {self.unit}, at most {self.limit:g}"


def sample() -> Picture:
    """A picture of 131x90 pixels with shading, edges and texture. Neither side is a multiple of a stride."""
    y, x = np.mgrid[0:90, 0:131].astype(np.float32)
    shading = np.stack([x * 1.5, y * 2, 200 - x], axis=2)
    shading[20:60, 30:80] = (230, 120, 40)
    noise = np.random.default_rng(3).normal(0, 6, shading.shape)
    return from_array(np.clip(shading + noise, 0, 255).astype(np.uint8))


@torch.inference_mode()
def differences_from_torch(
    codec: Codec, parts: Sequence[Part], heads: Sequence[Head], directory: Path
) -> list[Difference]:
    """Compare every output of every graph, the answers of heads, and files in both directions.

    Args:
        codec: The codec in torch.
        parts: The graphs that were written.
        heads: The heads that were written.
        directory: The folder of the graphs.

    Returns:
        The largest difference of each kind. Some may be beyond their limits.
    """
    edge = EdgeCodec(directory)
    found = [d for quality in QUALITIES for d in _outputs(codec, edge, parts, quality)]
    found += [d for quality in QUALITIES for d in _labels(codec, edge, parts, heads, quality)]
    if {"analysis", "hyper", "sigma", "mean_next"} <= {part.name for part in parts}:
        coarse = any(part.name == "mean_first" and part.precision == "compact" for part in parts)
        limit = COMPACT_TOLERANCE if coarse else TOLERANCE
        found += [d for quality in QUALITIES for d in _files(codec, edge, quality, limit)]
    return largest(found)


def largest(differences: Iterable[Difference]) -> list[Difference]:
    """The largest difference of each name. One that is not a number (a graph overflowed) is larger than all."""
    kept: dict[str, Difference] = {}
    for difference in differences:
        before = kept.get(difference.name)
        if before is None or difference.value > before.value or np.isnan(difference.value):
            kept[difference.name] = difference
    return list(kept.values())


def _values(codec: Codec, quality: int) -> dict[str, Tensor]:
    """Inputs of the graphs at a quality, computed by torch."""
    picture, q = sample(), torch.tensor([quality])
    rows, columns = grid(picture.height, picture.width, STRIDE_Z)
    missing = (rows * STRIDE_Z - picture.height, columns * STRIDE_Z - picture.width)
    padded = np.pad(picture.pixels, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
    y = codec.network.analysis(torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 255)
    symbols, _ = codec.coder.quantize(y, height=picture.height, width=picture.width, quality=quality)
    network = codec.network
    z_hat = clip_z(network.hyper_analysis(y * network.gain(q), q))
    features = network.mean_path.features(z_hat, q)
    y_hat = codec.coder.dequantize(symbols, quality=quality)
    known = torch.zeros_like(y)
    known[..., : y_hat.shape[2], : y_hat.shape[3]] = y_hat
    points, kept = torch.zeros_like(y), torch.zeros_like(y[:, :1])
    points[..., : y_hat.shape[2], : y_hat.shape[3]] = torch.from_numpy(symbols.y).float()
    kept[..., : y_hat.shape[2], : y_hat.shape[3]] = 1
    return {
        "points": points,
        "kept": kept,
        "pixels": torch.from_numpy(padded)[None],
        "y": y,
        "z_hat": z_hat,
        "features": features,
        "known": known,
        "quality": q,
        "y_hat": y_hat,
        "symbols": torch.from_numpy(symbols.y).float()[None],
        "index": torch.from_numpy(symbols.index)[None],
    }


def _by_pass(codec: Codec, values: dict[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    """The values that change from pass to pass: y_hat as far as it is known, and what refines the tables."""
    known, quality = values["known"], int(values["quality"])
    order = codec.network.order(known.shape, device=known.device)
    later = range(1, codec.release.config.passes)
    cases = [{"number": torch.tensor([number]), "known": known * (order < number)} for number in later]
    if codec.coder.refines:
        rows, columns = known.shape[2:]
        size = {"height": STRIDE_Y * rows - 5, "width": STRIDE_Y * columns - 40}
        z, rng = values["z_hat"][0].short().numpy(), np.random.default_rng(quality)
        tables = codec.coder.refined_tables(z, **size, quality=quality, keep=None)
        honest = tables.refine

        def refine(seen: NDArray[np.int8], sums: NDArray[Any], number: int) -> NDArray[np.int8]:
            cases[number - 1] |= {"seen": torch.tensor(seen), "sums": torch.from_numpy(sums).float()}
            return honest(seen, sums, number)

        tables.refine = refine
        for _ in range(codec.release.config.passes):
            shape = tables.index().shape
            tables.add(np.rint(rng.standard_t(2, shape) * 3).clip(-MAX_VALUE, MAX_VALUE).astype(np.int16))
    yield from cases


def _outputs(codec: Codec, edge: EdgeCodec, parts: Sequence[Part], quality: int) -> Iterator[Difference]:
    values = _values(codec, quality)
    for part in parts:
        if part.name == "label_map":
            continue
        if part.name in ("mean_next", "refine"):
            cases = [{**values, **case} for case in _by_pass(codec, values)]
        else:
            cases = [{**values, **_conditions(part, values)}]
        if part.name == "sigma":
            cases += [{**values, "z_hat": z_hat} for z_hat in more_z(codec.release, quality)]
        if part.name.startswith("head_"):
            cases += [{**values, "y_hat": values["y_hat"][..., 1:]}, {**values, "y_hat": values["y_hat"][..., 1:, 1:]}]
        for case in cases:
            yield from _of_graph(edge, part, [case[value.name] for value in part.inputs])


def more_z(release: Release, quality: int) -> list[Tensor]:
    """Return z_hat of several sizes for the graph of the tables: likely ones, which name most tables, and extremes."""
    likely = [likely_z(release, quality=quality, height=height, width=5) for height in (2, 3)]
    return [*(torch.from_numpy(z).float()[None] for z in likely), random_z(release.config.hyper, seed=quality)]


def _conditions(part: Part, values: dict[str, Tensor]) -> dict[str, Tensor]:
    """Random values for the inputs of generators and of the blend, in shapes that fit the latents."""
    rows, columns = values["y_hat"].shape[2:]
    sizes = {"rows": rows, "columns": columns, **{f"{n} * rows": n * rows for n in (2, 16)}}
    sizes.update({f"{n} * columns": n * columns for n in (2, 16)})
    rng, made = torch.Generator().manual_seed(7), {}
    for value in part.inputs:
        if value.name not in values:
            shape = [sizes[size] if isinstance(size, str) else size for size in value.shape]
            made[value.name] = torch.rand(shape, generator=rng)
            if value.name == "keep":
                made["keep"] = made["keep"].round()
    return made


def _of_graph(edge: EdgeCodec, part: Part, inputs: list[Tensor]) -> Iterator[Difference]:
    names = [value.name for value in part.outputs]
    arrays = {v.name: np.ascontiguousarray(t.numpy()) for v, t in zip(part.inputs, inputs, strict=True)}
    actual = edge.bundle.run(part.name, names, **arrays)
    for value, expected, got in zip(part.outputs, part.module(*inputs), actual, strict=True):
        name = f"{part.name}: {value.name}"
        reference = expected.numpy()
        if got.shape != reference.shape or got.dtype != reference.dtype:
            yield Difference(name=f"{name}, shape or type", value=float("inf"), limit=0, unit="")
        elif part.precision in _COARSE and value.name == "scores":
            apart = float(np.abs(got - reference).max())
            yield Difference(name=name, value=apart, limit=_COARSE[part.precision], unit="of full scale")
        elif part.precision in _COARSE:
            size = np.sqrt(np.mean(np.square(reference, dtype=np.float64)))
            error = np.sqrt(np.mean(np.square(got.astype(np.float64) - reference)))
            limit = _COARSE[part.precision]
            yield Difference(name=name, value=float(error / size), limit=limit, unit="of its size, RMS")
        elif value.name == "pixels":
            apart = np.abs(got.astype(int) - reference).max()
            yield Difference(name=name, value=float(apart), limit=1, unit="levels of 255")
        elif got.dtype.kind == "i" or value.name == "sums":  # what decides bits
            yield Difference(name=name, value=float(np.count_nonzero(got != reference)), limit=0, unit="elements")
        else:
            scale = 1.0 if value.name in ("x_hat", "scores") else float(np.abs(reference).max())
            apart = float(np.abs(got - reference).max()) / max(scale, 1e-9)
            yield Difference(name=name, value=apart, limit=TOLERANCE, unit="of full scale")


def _labels(
    codec: Codec, edge: EdgeCodec, parts: Sequence[Part], heads: Sequence[Head], quality: int
) -> Iterator[Difference]:
    """Compare the answers of the client with the network in float32, for latents as they are."""
    picture, graphs = sample(), {part.name: part for part in parts}
    latents = codec.latents_of_image(picture, quality=quality, precise=True)
    plain = Latents(**{**vars(latents), "y_hat": np.ascontiguousarray(latents.y_hat.numpy())})
    for head in heads:
        part = graphs[f"head_{head.name}"]
        output, *more = part.module(latents.y_hat, torch.tensor([quality]))
        limit, size = 0.0, {"height": picture.height, "width": picture.width}
        if isinstance(head, Classifier):
            if part.precision == "int8":
                continue  # its scores were compared before; classes with nearly equal scores may change places
            every = Labels.ranked(head.classes, output[0].tolist(), head=head.name)
            expected = head.limits.quiet_labels(every, float(more[0][0])).names
            found = edge.heads[head.name].answer(plain)
            names = found.names if isinstance(found, Labels) else ()
            wrong = misplaced(names, expected, dict(zip(every.names, every.scores, strict=True)))
        else:
            drawn = LabelMapPart()(output)[0][0, : picture.height, : picture.width].numpy()
            label_map = head.limits.quiet(drawn, output.numpy(), **size)
            found = edge.heads[head.name].answer(plain)
            wrong = int(np.count_nonzero(not isinstance(found, Segmentation) or found.label_map != label_map))
            limit = INT8_LABELS * label_map.size if part.precision == "int8" else 0.0
        yield Difference(name=f"head_{head.name}: labels", value=wrong, limit=limit, unit="of them")


def misplaced(names: Sequence[str], expected: Sequence[str], scores: Mapping[str, float]) -> int:
    """Count the places where a ranking has another name than is expected, and not one of nearly the same score.

    Example:
        >>> scores = {"cat": 0.6, "dog": 0.3001, "cow": 0.3, "hen": 0.1}
        >>> misplaced(["cat", "cow", "dog"], ["cat", "dog", "cow"], scores)
        0
        >>> misplaced(["dog", "cat"], ["cat", "dog", "cow"], scores)
        3
    """
    pairs = zip_longest(names, expected)
    return sum(a != b and (a is None or b is None or abs(scores[a] - scores[b]) > TOLERANCE) for a, b in pairs)


def _files(codec: Codec, edge: EdgeCodec, quality: int, limit: float) -> Iterator[Difference]:
    """Compare the symbols of files that the library and the client write, each read by both."""
    for writer, name in ((codec, "library"), (edge, "client")):
        data = writer.encode(sample(), quality=quality)
        ours, theirs = codec.read_symbols(data), edge.read_symbols(data)
        pairs = ((ours.z, theirs.z), (ours.y, theirs.y), (ours.index, theirs.index))
        wrong = sum(int(np.count_nonzero(a != b)) for a, b in pairs)
        yield Difference(name=f"file of the {name}: symbols", value=wrong, limit=0, unit="elements")
        expected = codec.latents(data, precise=True).y_hat.numpy()
        apart = np.abs(edge.latents(data, precise=True).y_hat - expected).max() / np.abs(expected).max()
        yield Difference(name="latents of files", value=float(apart), limit=limit, unit="of full scale")
