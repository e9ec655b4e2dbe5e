"""What `semcomp search` finds: photos of the same class, copies of a photo, and how fast an index is searched.

    classes      share of the ten nearest photos that have the same class, by embedding, from folders of classes
    strangers    pairs of these photos, which are different ones, that the signature of z takes for near-duplicates
    copies       share of changed copies whose nearest photo by embedding is the one they were made from
    duplicates   share of changed copies that the signature of z finds; pairs of different photos that it takes for one
    speed        milliseconds of a search in an index of --rows photos
    pairs        processor seconds in which --pairs photos are compared with each other for near-duplicates

Copies are recompressed by JPEG, halved, and cropped to 90 and 75 % of the sides; the last kind is cropped to 90 %,
halved and recompressed.
"""

import argparse
import io
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks import common
from benchmarks.common import at_least, at_most
from benchmarks.weights_ids import weights_ids
from semcomp.errors import ModelError
from semcomp.imaging.picture import from_array
from semcomp.search.photo_index import PhotoIndex
from semcomp.search.store import Photo, Store
from semcomp.semantics.head import Embedder, load_embedder
from semcomp.semantics.signature import FIELDS, RELEASED, WINDOWS, Signature, best_cosines, load_signature, unit_rows

PARTS = ("classes", "copies", "speed", "pairs")
QUALITIES = (25, 50, 75)
NEAREST = 10
Change = Callable[[Image.Image], Image.Image]


def recompressed(image: Image.Image, quality: int) -> Image.Image:
    """Encode and decode an image as JPEG."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


def halved(image: Image.Image) -> Image.Image:
    """Reduce an image to half of its sides."""
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC)


def cropped(image: Image.Image, share: float) -> Image.Image:
    """Cut an image to a share of its sides, a little off the middle."""
    width, height = round(image.width * share), round(image.height * share)
    left, top = round((image.width - width) * 0.4), round((image.height - height) * 0.6)
    return image.crop((left, top, left + width, top + height))


COPIES: dict[str, Change] = {
    "jpeg 30": lambda image: recompressed(image, 30),
    "half": halved,
    "crop 90 %": lambda image: cropped(image, 0.9),
    "crop 75 %": lambda image: cropped(image, 0.75),
    "all": lambda image: recompressed(halved(cropped(image, 0.9)), 30),
}


class Vectors:
    """Describes images by every embedding, and by a signature where there is one."""

    def __init__(self, codec: Any, embedders: Sequence[Embedder], signature: Signature | None):
        self.codec, self.embedders, self.signature = codec, embedders, signature

    def __call__(self, image: Image.Image, quality: int) -> dict[str, NDArray[np.float32]]:
        picture = from_array(np.asarray(image.convert("RGB")))
        height, width = picture.height, picture.width
        symbols, y_hat = self.codec.coder.quantize(
            self.codec.analyse(picture), height=height, width=width, quality=quality, precise=False
        )
        latents = self.codec.with_ids(y_hat, height=height, width=width, quality=quality)
        found = {embedder.name: unit(embedder(latents).vector) for embedder in self.embedders}
        if self.signature is not None:
            found["signature"] = unit_rows(self.signature.of(symbols.z, width=width, height=height))
        return found


def unit(vector: NDArray[np.int8]) -> NDArray[np.float32]:
    """A vector of length 1."""
    values = vector.astype(np.float32)
    return values / max(float(np.linalg.norm(values)), 1e-9)


def same_class(vectors: NDArray[np.float32], classes: NDArray[np.int_]) -> float:
    """Share in percent of the nearest photos that have the class of each."""
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2)
    nearest = np.argpartition(-cosines, NEAREST, axis=1)[:, :NEAREST]
    return round(100 * float((classes[nearest] == classes[:, None]).mean()), 1)


def of_classes(describe: Vectors, options: Any) -> dict[str, Any]:
    """Precision by embedding over folders of classes, and pairs of their photos that the signature takes for one."""
    paths = sorted(path for path in options.classes.glob("*/*") if path.is_file())
    paths = common.spread(paths, options.limit or len(paths))
    names = sorted({path.parent.name for path in paths})
    rows = [
        describe(Image.open(path), QUALITIES[number % len(QUALITIES)])
        for number, path in enumerate(common.progress(paths, total=len(paths), label="classes", options=options))
    ]
    classes = np.array([names.index(path.parent.name) for path in paths])
    found = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    result: dict[str, Any] = {"asked": {"photos": len(paths), "classes": len(names), "qualities": list(QUALITIES)}}
    if describe.signature is not None:
        cosines = best_cosines(own := found.pop("signature"), own)[np.triu_indices(len(paths), 1)]
        taken = int((cosines >= describe.signature.threshold).sum())
        result["strangers"] = {"photos": len(paths), "pairs": len(cosines), "taken": taken}
    return {"classes": {name: same_class(vectors, classes) for name, vectors in found.items()}, **result}


def of_copies(describe: Vectors, options: Any) -> dict[str, Any]:
    """Recall of copies by embedding, and of near-duplicates by signature, with the pairs it takes wrongly."""
    photos = common.spread(common.find_photos(options.photos), options.limit or 10**9)
    originals, copies = [], {name: list[dict[str, NDArray[np.float32]]]() for name in COPIES}
    for path in common.progress(photos, total=len(photos), label="copies", options=options):
        image = Image.open(path).convert("RGB")
        originals.append(describe(image, 75))
        for name, change in COPIES.items():
            copies[name].append(describe(change(image), 50))
    result: dict[str, Any] = {"photos": len(photos)}
    for kind in originals[0]:
        own = np.stack([row[kind] for row in originals])
        compare = best_cosines if kind == "signature" else np.inner
        cosines = {name: compare(np.stack([row[kind] for row in rows]), own) for name, rows in copies.items()}
        right = np.arange(len(photos))
        if kind != "signature":
            result[kind] = {n: round(100 * float((c.argmax(1) == right).mean()), 1) for n, c in cosines.items()}
            continue
        assert describe.signature is not None
        least, among = describe.signature.threshold, compare(own, own)
        wrong = int((among[np.triu_indices(len(own), 1)] >= least).sum())
        wrong += sum(int((c >= least).sum() - (np.diag(c) >= least).sum()) for c in cosines.values())
        result["duplicates"] = {n: round(100 * float((np.diag(c) >= least).mean()), 1) for n, c in cosines.items()}
        result |= {"wrong_pairs": wrong, "threshold": least}
    return result


def of_speed(rows: int, length: int) -> dict[str, float]:
    """Times of a search in an index of random vectors: the first one, which reads the file, and the next ones."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "speed.index"
        store = Store(file, create=True)
        for start in range(0, rows, 10_000):
            vectors = rng.integers(-127, 128, (min(10_000, rows - start), length)).astype(np.int8)
            store.put(Photo(f"{start + k}.semc", 1, 1, embedding=row.tobytes()) for k, row in enumerate(vectors))
        store.set_about({"root": "."})
        store.close()
        index, query = PhotoIndex(file), rng.integers(-127, 128, length).astype(np.int8)
        index._embedding_of = lambda like, *places: query  # type: ignore[method-assign]
        times = []
        for _ in range(4):
            began = time.perf_counter()
            index.search(like=b"", top=10)
            times.append(1000 * (time.perf_counter() - began))
        size = file.stat().st_size
        index.close()
    later = min(times[1:])
    return {
        "rows": rows,
        "first_ms": round(times[0], 1),
        "ms": round(later, 1),
        "photos_a_second": round(1000 * rows / times[0]),
        "bytes_a_photo": round(size / rows, 1),
    }


def of_pairs(rows: int, signature: Signature) -> dict[str, float]:
    """Processor seconds in which an index of random signatures is searched for near-duplicates."""
    rng = np.random.default_rng(0)
    length = len(WINDOWS) * FIELDS * FIELDS * signature.projection.shape[1]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pairs.index"
        store = Store(file, create=True)
        vectors = rng.integers(-127, 128, (rows, length)).astype(np.int8)
        store.put(Photo(f"{number}.semc", 1, 1, signature=row.tobytes()) for number, row in enumerate(vectors))
        store.set_about({"root": ".", "threshold": str(signature.threshold)})
        store.close()
        index = PhotoIndex(file)
        began = time.process_time()
        index.duplicates()
        seconds = time.process_time() - began
        index.close()
    return {"rows": rows, "cpu_seconds": round(seconds, 2)}


def table_of(result: dict[str, Any]) -> str:
    """The result as text."""
    lines = [
        f"{'precision@10 by class, ' + name:<42}{share:>8.1f} %" for name, share in result.get("classes", {}).items()
    ]
    if "copies" in result:
        lines.append(f"{'copies found':<18}" + "".join(f"{name:>12}" for name in COPIES))
        for name, found in result["copies"].items():
            if isinstance(found, dict):
                lines.append(f"{name:<18}" + "".join(f"{found[copy]:>10.1f} %" for copy in COPIES))
    if "strangers" in result:
        found = result["strangers"]
        lines.append(f"{found['taken']} wrong pairs of {found['pairs']:,} pairs of photos of the classes")
    if "wrong_pairs" in result.get("copies", {}):
        lines.append(f"{result['copies']['wrong_pairs']} wrong pairs of {result['copies']['photos']} photos")
    if "speed" in result:
        speed = result["speed"]
        lines.append(
            f"{speed['rows']:,} photos: {speed['first_ms']:.0f} ms for the first search, {speed['ms']:.0f} ms for the "
            f"next, {speed['bytes_a_photo']:.0f} B a photo"
        )
    if "pairs" in result:
        rows, seconds = result["pairs"]["rows"], result["pairs"]["cpu_seconds"]
        lines.append(f"{rows:,} photos compared with each other: {seconds:.1f} s of the processor")
    return "\n".join(lines)


def measure(options: argparse.Namespace, signature: Signature | None) -> dict[str, Any]:
    """The parts that were asked for."""
    result: dict[str, Any] = {}
    if {"classes", "copies"} & set(options.only):
        embedders = [load_embedder(name) for name in options.embedders]
        describe = Vectors(common.load_codec(options, threads=1), embedders, signature)
        if "classes" in options.only:
            result |= of_classes(describe, options)
        if "copies" in options.only:
            result["copies"] = of_copies(describe, options)
    if "speed" in options.only:
        result["speed"] = of_speed(options.rows, 128)
    if "pairs" in options.only and signature is not None:
        result["pairs"] = of_pairs(options.pairs, signature)
    return result


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; the exit status."""
    example = "python -m benchmarks.search data/val --classes data/imagenette/val -o out/search.json"
    parser = common.make_parser("search", __doc__, example)
    parser.add_argument("photos", nargs="+", help="folders or files of lossless photos, for copies")
    parser.add_argument(
        "--classes", type=Path, required=True, metavar="FOLDER", help="a folder of photos for each class"
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument(
        "--embedders", nargs="+", default=["latents", "embed", "things", "objects", "imagenette"], metavar="NAME"
    )
    parser.add_argument("--signature", type=Path, default=RELEASED, metavar="FILE", help="default: the released one")
    parser.add_argument("--limit", type=int, metavar="N", help="at most N photos of each kind")
    parser.add_argument("--rows", type=int, default=100_000, metavar="N", help="photos of the timed index (100,000)")
    parser.add_argument("--pairs", type=int, default=10_000, metavar="N", help="photos that are compared (10,000)")
    options = parser.parse_args(arguments)
    try:
        signature = load_signature(options.signature)
    except ModelError:
        signature = None
    result = measure(options, signature)
    checks = []
    if "speed" in result:
        checks.append(at_least("photos searched a second", result["speed"]["photos_a_second"], 10_000, ""))
    if signature is not None and "copies" in result:
        checks.append(at_most("pairs wrongly taken for near-duplicates", result["copies"]["wrong_pairs"], 0, ""))
    described = {"classes", "copies"} & set(options.only)
    heads = [name for name in options.embedders if described and name != "latents"]
    ids = weights_ids([options.model, *heads, *([options.signature] if signature else [])])
    return common.finish("search", options, result=result, checks=checks, table=table_of(result), weights=ids)


if __name__ == "__main__":
    sys.exit(common.guarded(main))
