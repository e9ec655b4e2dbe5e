"""What the library writes, as one JSON file for the tests of the browser client: python -m tests.web.fixture FILE.

Everything is small and made here, but for the golden files and the codec's tables. Arrays are little-endian, in base64.
"""

import base64
import io
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from semcomp.bitstream.alpha import pack_alpha
from semcomp.bitstream.class_tables import CLASS_TABLES
from semcomp.bitstream.container import Chunk, ChunkKind, ColorMode, Container, Header, read, write
from semcomp.bitstream.frequency_tables import MAX_VALUE, Tables, quantize_pmf
from semcomp.bitstream.generator_note import GeneratorNote, pack_generator
from semcomp.bitstream.keep_mask import pack_keep, unpack_keep
from semcomp.bitstream.label_map import LabelMap, pack_label_map, reduce_map, unpack_label_map
from semcomp.bitstream.label_map_header import VOID
from semcomp.bitstream.symbol_stream import SymbolReader, encode_symbols
from semcomp.bitstream.tags import Tag, pack_tags
from semcomp.codec.codec import Codec, load
from semcomp.errors import FormatError
from semcomp.generative.guide import guide_of
from semcomp.generative.noise import noise_at, noise_tile
from semcomp.imaging.picture import from_array
from semcomp.pipeline.rdo import choose_symbols, price_at
from semcomp.semantics.limits import NEVER, Limits
from semcomp.semantics.results import Labels, Segmentation
from semcomp.types import rate_node
from tests.releases import untrained

GOLDEN = Path(__file__).parents[1] / "golden"


def text(data: Any, dtype: str | None = None) -> str:
    """Base64 of bytes, or of an array in a type."""
    raw = np.ascontiguousarray(data, dtype).tobytes() if dtype else bytes(data)
    return base64.b64encode(raw).decode()


def some_tables(rng: np.random.Generator, bounds: list[int]) -> Tables:
    flat = [quantize_pmf(rng.random(2 * bound + 2) ** 4 + 1e-9) for bound in bounds]
    return Tables.from_arrays(np.array(bounds), np.concatenate(flat).astype(np.int64))


def latent(symbols: NDArray[Any], index: NDArray[np.integer[Any]], tables: Tables) -> dict[str, str]:
    """One latent of a stream."""
    return {
        "bounds": text(tables.bounds, "<i4"),
        "flat": text(tables.flat, "<i4"),
        "index": text(index, "<i2"),
        "symbols": text(symbols, "<i2"),
    }


def streams(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Streams of two latents: ordinary ones, nothing at all, and nothing but escapes up to the limit."""
    tables = (some_tables(rng, [0, 3, 9]), some_tables(rng, [1, 5, 0, 40]))
    spread = {"nothing": (0, 0), "one": (1, 3), "ordinary": (4000, 6), "escapes": (300, 3000), "limit": (60, 60000)}
    rows = []
    for name, (count, scale) in spread.items():
        parts = []
        for each in tables:
            index = rng.integers(-1, len(each), count)
            symbols = np.clip(np.rint(rng.normal(0, 1, count) * scale), -MAX_VALUE, MAX_VALUE).astype(np.int64)
            if name == "limit":
                symbols[:2], index[:2] = (MAX_VALUE, -MAX_VALUE), len(each) - 1
            parts.append((symbols, index, each))
        stream = encode_symbols(parts)
        rows.append({"name": name, "latents": [latent(*part) for part in parts], "stream": text(stream)})
    return rows


def noise() -> list[dict[str, Any]]:
    """The first words of some seeds, and normal values from both planes."""
    rows = []
    for seed in (0, 7, 2**32 - 1):
        coarse, fine = noise_tile(seed, 4, 2)
        words = np.random.Philox(key=seed).random_raw(50)
        rows.append(
            {
                "seed": seed,
                "words": text(words, "<u8"),
                "coarse": text(coarse[0, :, ::9, ::7], "<f4"),
                "fine": text(fine[0, :, ::9, ::7], "<f4"),
                "part": text(noise_at(fine, slice(50, 70), slice(3, 9), fine=2), "<f4"),
            }
        )
    return rows


def guides(rng: np.random.Generator) -> list[dict[str, Any]]:
    """What a generator of other names, in another order, reads of a label map, and of none."""
    classes, known = ("sky", "People", "cars", "moon"), ("Car", "Pedestrian", "Sky")
    width, height, cell = 75, 44, 8
    label_map = np.repeat(np.repeat(rng.integers(0, 4, (6, 10), np.uint8), 8, 0), 8, 1)[:height, :width]
    palette = ((1, 2, 3),) * 4
    stored = LabelMap(cells=reduce_map(label_map, cell), cell=cell, classes=classes, palette=palette)
    body = pack_label_map(stored, width=width, height=height)
    rows = []
    for given in (Segmentation(label_map=label_map, classes=classes, palette=palette), None):
        planes = guide_of(given, name="", classes=known, rows=3, columns=5)
        rows.append(
            {
                "width": width,
                "height": height,
                "body": text(body) if given else None,
                "classes": known,
                "planes": text(planes, "<f4"),
            }
        )
    return rows


def damaged(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Streams with changed, missing or additional bytes, and what the library reads from them: null for an error."""
    tables, rows = some_tables(rng, [0, 2, 7]), []
    index = rng.integers(-1, 3, 200)
    good = encode_symbols([(rng.integers(-12, 13, 200), index, tables)])
    for number in range(120):
        data = bytearray(good)
        at = int(rng.integers(len(data)))
        if number % 3 == 0:
            data[at] ^= 1 << int(rng.integers(8))
        elif number % 3 == 1:
            del data[at:]
        else:
            data += bytes([0] if number % 2 else [1, 2, 3])
        try:
            reader = SymbolReader(bytes(data))
            found: NDArray[np.int32] | None = reader.read(index, tables)
            reader.finish()
        except FormatError:
            found = None
        one = latent(np.zeros(0), index, tables) | {"stream": text(data)}
        rows.append({**one, "symbols": None if found is None else text(found, "<i2")})
    return rows


def choice(rng: np.random.Generator, tables: Tables) -> dict[str, Any]:
    """Values of every magnitude, halves among them, under every table."""
    bits, count = tables.bits(), 40000
    value = (rng.normal(0, 1, count) * np.exp(rng.uniform(-2, 7, count))).astype(np.float32)
    value[:200] = np.arange(-100, 100) + np.float32(0.5)
    index = rng.integers(0, len(tables), count).astype(np.int8)
    quality = 77
    chosen = choose_symbols(value, index, np.ones(count, bool), bits, price=price_at(quality))
    return {
        "quality": quality,
        "widest": bits.shape[1] // 2,
        "bits": text(bits, "<f4"),
        "value": text(value, "<f4"),
        "index": text(index, "<i2"),
        "chosen": text(np.clip(chosen, -MAX_VALUE, MAX_VALUE), "<i2"),
    }


def label_maps(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Maps of many shapes: one column, one row, one class, as many as there can be, large areas and noise."""
    rows = []
    sizes = [
        ("column", 3, 90, 2, 4),
        ("row", 90, 3, 2, 4),
        ("pixel", 1, 1, 5, 1),
        ("one class", 40, 30, 1, 4),
        ("areas", 200, 150, 11, 4),
        ("noise", 61, 47, 255, 1),
        ("large cells", 130, 70, 7, 64),
        ("table 1", 50, 40, 11, 4),
        ("table 2", 50, 40, 21, 4),
        ("void", 60, 45, 5, 4),
        ("void beside 255 classes", 61, 47, 255, 1),
        ("void of table 2", 50, 40, 21, 4),
        ("nothing but void", 20, 10, 3, 4),
    ]
    for name, width, height, classes, cell in sizes:
        y, x = np.mgrid[:height, :width]
        label_map = ((x // 31 + y // 23) % classes).astype(np.uint8)
        if name != "areas":
            label_map = rng.integers(0, classes, (height, width)).astype(np.uint8)
        names = tuple(f"class {number} é" for number in range(classes))
        palette = tuple((number, 255 - number, 7) for number in range(classes))
        if name.startswith("void"):
            label_map[
                rng.random((height // 5 + 1, width // 5 + 1)).repeat(5, 0).repeat(5, 1)[:height, :width] < 0.4
            ] = VOID
        elif name == "nothing but void":
            label_map[:] = VOID
        if "table" in name:
            names, palette = CLASS_TABLES[int(name[-1])]
        stored = LabelMap(cells=reduce_map(label_map, cell), cell=cell, classes=names, palette=palette, source="a head")
        rows.append(
            {
                "name": name,
                "width": width,
                "height": height,
                "cell": cell,
                "classes": names,
                "palette": palette,
                "source": "a head",
                "map": text(label_map),
                "body": text(pack_label_map(stored, width=width, height=height)),
            }
        )
    return rows


def damaged_bodies(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Changed and cut bodies of label maps and of regions: what the library reads from them, null for an error."""
    label_map = np.kron(rng.integers(0, 5, (6, 8)), np.ones((9, 11))).astype(np.uint8)
    names, palette = ("a", "b", "c", "d", "e"), ((1, 2, 3),) * 5
    stored = LabelMap(cells=reduce_map(label_map, 2), cell=2, classes=names, palette=palette)
    keep = rng.random((30, 40)) < 0.5
    rows = []
    some_void = np.where(stored.cells == 2, np.uint8(VOID), stored.cells)
    with_void = LabelMap(cells=some_void, cell=2, classes=names, palette=palette)
    bodies = [("map", pack_label_map(each, width=88, height=54)) for each in (stored, with_void)]
    for kind, body in (*bodies, ("keep", pack_keep(keep))):
        for number in range(150):
            data = bytearray(body)
            at = int(rng.integers(len(data)))
            if number % 3:
                data[at] ^= 1 << int(rng.integers(8))
            else:
                del data[at:]
            found: NDArray[Any] | None = None
            with suppress(FormatError):
                if kind == "map":
                    found = unpack_label_map(bytes(data), width=88, height=54).cells
                else:
                    found = unpack_keep(bytes(data), width=640, height=480)
            rows.append({"kind": kind, "body": text(data), "found": None if found is None else text(found)})
    return rows


def keeps(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Masks that make boxes, and masks that make a bitmap."""
    rows = []
    for width, height, share in ((400, 300, 0.5), (400, 300, 0.02), (16, 900, 0.5), (33, 17, 0.4), (2000, 1500, 0.9)):
        keep = rng.random((-(-height // 16), -(-width // 16))) < share
        keep[0, 0], keep[-1, -1] = True, False
        rows.append({"width": width, "height": height, "keep": text(keep), "body": text(pack_keep(keep))})
    boxes = np.zeros((19, 25), bool)
    boxes[2:9, 3:20] = boxes[8:15, 18:24] = True
    rows.append({"width": 400, "height": 300, "keep": text(boxes), "body": text(pack_keep(boxes))})
    return rows


def labels() -> list[dict[str, Any]]:
    rows = []
    named = [Tag("gas pump", 0.75), Tag("Hühnerhund", 0.1), Tag("x", 0.0)]
    for source, tags, areas in (("", [], False), ("imagenette", named, False), ("street", named, True)):
        shown = [{"name": tag.name, "score": tag.score} for tag in tags]
        body = text(pack_tags(tags, source=source, areas=areas))
        rows.append({"source": source, "labels": shown, "areas": areas, "body": body})
    return rows


def softmax(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn logits (K,) into probabilities."""
    powers = np.exp(values - values.max())
    probabilities: NDArray[np.float32] = (powers / powers.sum()).astype(np.float32)
    return probabilities


def limits(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Scores of images of odd sizes, limits of every kind, and the classes that may be said."""
    names = ("background", "cat", "dog")
    every = [
        Limits(),
        Limits(area=0.02),
        Limits(area=0.05, confidence=(0.0, 0.7, NEVER)),
        Limits(energy=1.5),
        Limits(energy=6.0, area=0.01, confidence=(0.5, 0.9, 0.95)),
    ]
    rows = []
    for width, height in ((64, 48), (61, 47), (16, 5), (130, 90)):
        shape = (1, 3, 4 * -(-height // 16), 4 * -(-width // 16))
        coarse = rng.normal(0, 3, (1, 3, *(-(-side // 4) for side in shape[2:])))
        logits = coarse.repeat(4, 2).repeat(4, 3).astype(np.float32)
        logits += rng.normal(0, 1, shape).astype(np.float32)
        for given in every:
            sure = given.at_least(0.75, names)
            said, surely = (each.said(logits, height=height, width=width).tolist() for each in (given, sure))
            scores = softmax(logits.mean((0, 2, 3)))
            labels = sure.sure_labels(Labels.ranked(names, scores.tolist(), head=""), names).names
            row = {"width": width, "height": height, "dims": list(shape), "logits": text(logits, "<f4")}
            row |= {"classes": names, "limits": given.to_dict(names), "said": said, "surely": surely}
            rows.append(row | {"scores": text(scores, "<f4"), "labels": sorted(labels)})
    return rows


def containers() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Files with every chunk, and damaged ones with the chunks that the library reports as lost, null for an error."""
    header = Header(
        width=300,
        height=200,
        mode=ColorMode.L,
        quality=40,
        flags=1,
        entropy_id=b"ENTROPY!",
        model_id=b"MODEL-ID",
        symbol_crc=0xFEDCBA98,
        z_check=0xABCD,
    )
    many = (*(Chunk(kind, bytes(range(kind, 2 * kind))) for kind in ChunkKind), Chunk(77, b"unknown"))
    giant = Header(**{**vars(header), "width": 9000, "height": 7000})
    padded = (Chunk(ChunkKind.SYMBOLS, b"abc"), Chunk(ChunkKind.PADDING, bytes(20000)))
    files = {"all chunks": (header, many), "padded": (giant, padded)}
    rows, broken = [], []
    for name, (head, chunks) in files.items():
        file = write(Container(head, chunks))
        shown = {key: int(getattr(head, key)) for key in ("width", "height", "mode", "flags", "quality")}
        rows.append(
            {
                "name": name,
                "file": text(file),
                "header": shown | {"entropy_id": head.entropy_id.hex()},
                "chunks": [[chunk.kind, len(chunk.data)] for chunk in chunks],
            }
        )
    good = write(Container(header, many))
    bodies = {f"cut at {at}": good[:at] for at in range(0, len(good), 5)}
    bodies |= {f"byte {at}": good[:at] + bytes([good[at] ^ 0x41]) + good[at + 1 :] for at in range(len(good))}
    bodies |= {"longer": good + b"x", "no picture": b"\x89PNG", "text": b"hello"}
    bodies["required and unknown"] = write(Container(header, (*many, Chunk(99, b"new", required=True))))
    bodies["too small"] = write(Container(giant, (Chunk(ChunkKind.SYMBOLS, b"abc"),)))
    for what, file in bodies.items():
        try:
            lost: list[str] | None = [each.name for each in read(file).lost]
        except FormatError:
            lost = None
        broken.append({"what": what, "file": text(file), "lost": lost})
    return rows, broken


def golden(codec: Codec) -> list[dict[str, Any]]:
    """The golden files with what the sigma graph gives for their z: table numbers, or the sums that passes refine."""
    rows = []
    for path in sorted(GOLDEN.glob("*.semc")):
        data = path.read_bytes()
        symbols, quality = codec.read_symbols(data), read(data).header.quality
        sigma = codec.release.sigma
        rows.append(
            {
                "name": path.stem,
                "file": text(data),
                "numbers": text(sigma.index_numpy(symbols.z, quality), "i1"),
                "sums": text(sigma.sums_numpy(symbols.z, quality), "<f4") if codec.coder.refines else None,
                "z": text(symbols.z, "<i2"),
                "y": text(symbols.y, "<i2"),
            }
        )
    return rows


class Size(TypedDict):
    """What a coder is told about a picture."""

    height: int
    width: int
    quality: int


def refined() -> dict[str, Any]:
    """Streams of a small release that refines its tables: its integers, whole and damaged streams, what they hold."""
    codec = Codec(untrained(latents=22))
    release, rng, rows = codec.release, np.random.default_rng(8), []
    assert release.refiner is not None
    for (height, width), quality, share in (
        ((90, 131), 60, 1),
        ((64, 64), 100, 1),
        ((17, 130), 1, 1),
        ((1, 1), 50, 1),
        ((90, 131), 80, 0.6),
    ):
        pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        picture, size = from_array(pixels), Size(height=height, width=width, quality=quality)
        keep = None if share == 1 else rng.random((-(-height // 16), -(-width // 16))) < share
        symbols = codec.quantize(codec.analyse(picture), picture, quality=quality, keep=keep)
        stream = codec.coder.write(symbols, quality=quality)
        for number in range(13 if len(stream) > 60 else 1):
            data = bytearray(stream)
            if number:
                at = int(rng.integers(len(data)))
                data[at:] = b"" if number % 3 == 0 else bytes([data[at] ^ 8]) + data[at + 1 :]
            found = None
            with suppress(FormatError):
                found = codec.coder.read(bytes(data), **size, keep=keep)
            z = symbols.z if found is None else found.z
            # The graph computes what z leads to, also where z was read from a damaged stream.
            sums = release.sigma.sums_numpy(z_of(codec, data, symbols.z.shape, quality), quality)
            rows.append(
                {
                    **size,
                    "stream": text(data),
                    "sums": text(sums, "<f4"),
                    "keep": None if keep is None else text(keep),
                    "z": text(z, "<i2"),
                    "y": None if found is None else text(found.y, "<i2"),
                    "index": None if found is None else text(found.index, "i1"),
                }
            )
    return {"codec": described(codec), "rows": rows}


def described(codec: Codec) -> dict[str, Any]:
    """What a client needs of a codec besides its graphs, and the integers of the graph that refines tables."""
    config, refiner = codec.release.config, codec.release.refiner
    stored = {
        f"tables_{name}.{part}": getattr(each, part).astype(np.int32)
        for name, each in (("y", codec.coder.tables_y), ("z", codec.coder.tables_z))
        for part in ("bounds", "flat")
    }
    names = ("weight1", "bias1", "weight2", "own")
    sizes = {"latents": config.latents, "hyper": config.hyper, "nodes": config.nodes, "passes": config.passes}
    return {
        "sizes": {**sizes, "refined": refiner is not None, "skipBelow": codec.release.skip_below},
        "hidden": config.refine_width,
        "tables": text(save(stored if refiner is None else stored | {"refine.table": refiner.table.numpy().ravel()})),
        "weights": None if refiner is None else {name: text(getattr(refiner, name).numpy(), "<i4") for name in names},
    }


def z_of(codec: Codec, data: bytes | bytearray, shape: tuple[int, ...], quality: int) -> NDArray[np.int64]:
    """z as a reader finds it in a stream, zeros where it finds none."""
    try:
        found = SymbolReader(bytes(data)).read(codec.coder.z_index(shape, quality=quality), codec.coder.tables_z)
    except FormatError:
        return np.zeros(shape, np.int64)
    return found.astype(np.int64).reshape(shape)


def make() -> dict[str, Any]:
    """The whole fixture."""
    rng, codec = np.random.default_rng(5), load()
    tables, codec_facts = codec.coder.tables_y, described(codec)
    files, broken = containers()
    plane = np.clip(np.add.outer(np.arange(37) * 5, np.arange(53) * 3) + rng.integers(0, 9, (37, 53)), 0, 255)
    note = GeneratorNote(name="street", generator_id=bytes(range(8)), guided=True)
    return {
        "noise": noise(),
        "guides": guides(np.random.default_rng(6)),
        "streams": streams(rng),
        "damaged": damaged(rng),
        "choice": choice(rng, tables),
        "tables": {"file": codec_facts["tables"], "bits": text(tables.bits(), "<f4")},
        "nodes": {n: [int(rate_node(quality, n)) for quality in range(1, 101)] for n in (1, 2, 12, 100)},
        "maps": label_maps(rng),
        "bodies": damaged_bodies(rng),
        "keeps": keeps(rng),
        "tags": labels(),
        "limits": limits(rng),
        "generator": {
            "name": note.name,
            "id": note.generator_id.hex(),
            "guided": True,
            "body": text(pack_generator(note)),
        },
        "files": files,
        "broken": broken,
        "alpha": {
            "width": 53,
            "height": 37,
            "plane": text(plane, "u1"),
            "png": text(pack_alpha(plane.astype(np.uint8))),
        },
        "codec": codec_facts,
        "golden": golden(codec),
        "refined": refined(),
    }


def main() -> None:
    buffer = io.StringIO()
    json.dump(make(), buffer)
    Path(sys.argv[1]).write_text(buffer.getvalue(), encoding="utf-8")


if __name__ == "__main__":
    main()
