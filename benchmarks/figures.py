"""The figures of README and docs, each with a record beside it: command, data, date, ids of the weights.

    rate          docs/figures/rate.png         from out/rate.json (make bench-rate)
    peers         docs/figures/peers.png        the same file, beside what others published
    recognition   docs/figures/recognition.png  from out/segment.json (semcomp eval --task segment -o out)
    beside        docs/figures/beside.png       examples/demo.py
    generative    docs/figures/generative.png   from a street scene of data/val
    random        docs/figures/random.jpg       from out/photos (make bench-photos), ten photos
    worst         docs/figures/worst.jpg        the same, those that look least like their originals
    page          docs/figures/page.png         from out/web (make test-web)

A figure whose measurements are missing stays as it is, and the program says so. The captions below the figures are
written from the records. A test compares the ids with the weights that are there.
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import common
from benchmarks.figure_records import Record, caption, measured, measured_on, write_captions
from benchmarks.weights_ids import weights_id
from heads.datasets import read_rgb
from semcomp.errors import MissingExtraError, SemcompError
from semcomp.eval.codecs import CLASSICAL
from semcomp.eval.plot import COLOURS, Chart, draw
from semcomp.eval.published import published

FIGURES_DIR, OUT = common.ROOT / "docs" / "figures", common.ROOT / "out"
STREET = common.ROOT / "data/val/cid22/1475938.png"
RATE = "python -m benchmarks.rate data/val -o out/rate.json --monotone 3"
RECOGNITION = "semcomp eval data/camvid --task segment --head street --pixels {pixels} -o out"
SHEETS = (
    "python -m benchmarks.generative data/val --generator photos --head objects --keep person,car,dog,cat "
    "--bpp 0.09 -o out/photos.json --sheets out/photos"
)


def rate(target: Path) -> Record:
    """Rate and distortion of semcomp and classical codecs."""
    result = measured(OUT / "rate.json")
    title = f"Mean over {result['photos']} lossless photos; in brackets, bytes at equal PSNR against JPEG"
    record = _of_rate(result)
    draw(Chart(curves=result["curves"], bd=result["bd_rate"], title=title, footer=_footer(record)), target)
    return record


def _of_rate(result: Record) -> Record:
    return {
        "command": RATE,
        "data": f"{result['photos']} photos of data/val",
        "date": result["date"],
        "weights": {"base": result["model_id"]},
    }


def _footer(record: Record) -> str:
    return f"{record['command']}\n{record['data']}, {record['date']}"


def peers(target: Path) -> Record:
    """BD-rate against JPEG over arithmetic: semcomp as measured, others as published."""
    from semcomp.codec.codec import load

    result, record = measured(OUT / "rate.json"), _of_rate(measured(OUT / "rate.json"))
    if weights_id("base") != result["model_id"]:
        raise SemcompError("out/rate.json is of other weights: run make bench-rate")
    cost = load().describe()["kmac_per_px_decode"]
    figure, axes = _axes()
    for one in published()["table"]:
        if one["kmac_per_px"]:
            x, y = one["kmac_per_px"][1], one["bd_rate_vs_jpeg"]
            axes.plot(x, y, "o", color="#9aa0ab", fillstyle="none")
            axes.annotate(f" {one['name']}", (x, y), fontsize=8, color="#666a73", va="center")
        else:
            axes.axhline(one["bd_rate_vs_jpeg"], color="#9aa0ab", linestyle=":", linewidth=0.8)
            axes.annotate(one["name"], (1.2, one["bd_rate_vs_jpeg"]), fontsize=8, color="#666a73", va="bottom")
    ours = result["bd_rate"]["semcomp"]["JPEG"]
    axes.plot(cost, ours, "o", color=COLOURS["semcomp"], markersize=8)
    above = {"xytext": (0, 8), "textcoords": "offset points", "ha": "center"}
    axes.annotate("semcomp", (cost, ours), color=COLOURS["semcomp"], fontweight="bold", **above)
    axes.set_xscale("log")
    axes.set_xlim(1, 1500)
    axes.set_xlabel(f"thousands of multiply-adds a pixel to decode\n{_footer(record)}", fontsize=8)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_ylabel("BD-rate against JPEG in %; lower is smaller")
    axes.set_title("semcomp measured on the photos named below; others as published, on Kodak", fontsize=10, loc="left")
    figure.savefig(target)
    return record


def recognition(target: Path) -> Record:
    """Accuracy against bytes."""
    result = measured(OUT / "segment.json")
    record = {
        "command": RECOGNITION.format(pixels=result["pixels"]),
        "data": f"{result['pictures']} frames of data/camvid",
        "date": result["date"],
        "weights": {"base": result["model_id"], result["head"]: weights_id(result["head"])},
    }
    figure, axes = _axes()
    labels = {codec.name: codec.label for codec in CLASSICAL}
    names = {"latents": "head on latents", "decoded": "pixels of semcomp"}
    for way in result["rows"][0]["bpps"]:
        bpp, score = [row["bpps"][way] for row in result["rows"]], [row[way] for row in result["rows"]]
        name = names.get(way, f"pixels of {labels.get(way, way)}")
        colour = COLOURS["semcomp"] if way in ("latents", "decoded") else COLOURS.get(labels.get(way, ""), "#00838f")
        axes.plot(bpp, score, color=colour, marker="o", linestyle="--" if way == "decoded" else "-", label=name)
    if result["originals"] is not None:
        axes.axhline(result["originals"], color="#616161", linestyle=":", label="pixels, never compressed")
    axes.legend(fontsize=8)
    axes.set_xlabel(f"bits a pixel (whole files)\n{_footer(record)}", fontsize=8)
    axes.set_ylabel(f"{result['figure']} in %")
    figure.savefig(target)
    return record


def _axes() -> tuple[Any, Any]:
    figure = _figure()
    axes = figure.add_subplot()
    axes.grid(True, color="#e4e4e8", linewidth=0.8)
    return figure, axes


def _figure() -> Any:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("a figure", "eval") from error
    figure = Figure(figsize=(8, 4.6), dpi=160, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def beside(target: Path) -> Record:
    """A photo by several codecs at equal bytes."""
    command = [sys.executable, "examples/demo.py", "-o", str(OUT)]
    if subprocess.run(command, cwd=common.ROOT, stdout=subprocess.DEVNULL, check=False).returncode:
        raise SemcompError("examples/demo.py failed")
    shutil.copyfile(OUT / "photo.beside.png", target)
    return {
        "command": "python examples/demo.py",
        "data": "examples/photo.png",
        "date": date.today().isoformat(),
        "weights": {"base": weights_id("base")},
    }


def generative(target: Path) -> Record:
    """A street scene that nothing was trained on: completed as a whole and in part, and with a class renamed."""
    from semcomp.codec.codec import load
    from semcomp.generative.generator_file import load_generator
    from semcomp.generative.request import Request
    from semcomp.semantics.head import Segmentation, load_head

    pixels = read_rgb(STREET)
    codec, generator = load(), load_generator("street")
    head = common.without_limits(load_head("street"))  # it would say nothing of a scene that is unlike its frames
    found = head(codec.latents_of_image(pixels))
    assert isinstance(found, Segmentation)
    whole = codec.encode(pixels, quality=8, generative=Request(generator=generator))
    part = codec.encode(pixels, quality=40, generative=Request(generator=generator, head=head, keep=("car", "sign")))
    panels = [
        (pixels, f"original, {STREET.stat().st_size:,} bytes"),
        (codec.decode(whole, generator="faithful"), f"quality 8, {len(whole):,} bytes, decoded faithfully"),
        (codec.decode(whole), "the same file, completed by the generator"),
        (np.asarray(found.palette, np.uint8)[found.label_map], "label map of the head street"),
        (codec.decode(part), f"cars and signs kept, {len(part):,} bytes, the rest synthesised"),
        (codec.decode(part, relabel={"building": "tree"}), "--relabel building=tree"),
    ]
    figure = _figure()
    for number, (picture, title) in enumerate(panels):
        axes = figure.add_subplot(2, 3, number + 1)
        axes.imshow(np.asarray(picture), interpolation="none")
        axes.set_title(title, fontsize=7)
        axes.axis("off")
    figure.savefig(target)
    return {
        "command": "python -m benchmarks.figures generative",
        "data": "1475938.png of CID22 (Cloudinary, CC BY-SA 4.0)",
        "date": date.today().isoformat(),
        "weights": {name: weights_id(name) for name in ("base", "street", "generator_street")},
    }


def random(target: Path) -> Record:
    """Photos drawn at random, by the generator and by others at equal bytes."""
    return _sheet("random", target)


def worst(target: Path) -> Record:
    """The photos whose synthesised pictures are furthest from the originals to a network."""
    return _sheet("worst", target)


def _sheet(name: str, target: Path) -> Record:
    """A contact sheet at half its size."""
    from semcomp.generative.generator_file import load_generator

    result = measured(OUT / "photos.json")
    if result["generator_id"] != load_generator("photos").generator_id.hex():
        raise SemcompError("out/photos.json is of other weights: run make bench-photos")
    with Image.open(OUT / "photos" / f"{name}.png") as sheet:
        sheet.reduce(2).save(target, quality=88, subsampling=0)
    return {
        "command": SHEETS,
        "data": f"of {result['pictures']} photos of data/val (gb82, CC0; CID22, Cloudinary, CC BY-SA 4.0)",
        "date": result["date"],
        "weights": {name: weights_id(name) for name in ("base", "generator_photos")},
    }


def page(target: Path) -> Record:
    """The page in a browser."""
    from semcomp.weights.files import WEIGHTS

    shot, weights = OUT / "web" / "map-wide.png", ("base", "objects")
    newest = max((WEIGHTS / f"{name}.safetensors").stat().st_mtime for name in weights)
    if not shot.is_file() or shot.stat().st_mtime < newest:
        raise SemcompError("out/web/map-wide.png is not there, or older than the weights: run make test-web")
    shutil.copyfile(shot, target)
    return {
        "command": "make test-web",
        "data": "examples/photo.png",
        "date": measured_on(shot),
        "weights": {name: weights_id(name) for name in weights},
    }


FIGURES: dict[str, tuple[str, Callable[[Path], Record]]] = {
    "rate": (".png", rate),
    "peers": (".png", peers),
    "recognition": (".png", recognition),
    "beside": (".png", beside),
    "generative": (".png", generative),
    "random": (".jpg", random),
    "worst": (".jpg", worst),
    "page": (".png", page),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw the figures; 1 if one could not be drawn."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.figures", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(FIGURES)} (all)")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(FIGURES):
        parser.error(f"no figure called {sorted(unknown)[0]}; known: {', '.join(FIGURES)}")
    status = 0
    for name in options.names or FIGURES:
        try:
            suffix, make = FIGURES[name]
            picture = FIGURES_DIR / f"{name}{suffix}"
            record = make(picture)
        except SemcompError as error:
            sys.stderr.write(f"{name}: {error}\n")
            status = 1
            continue
        common.write_json(FIGURES_DIR / f"{name}.json", record)
        write_captions(name, caption(record))
        common.say(f"docs/figures/{picture.name}: {caption(record)}")
    return status


if __name__ == "__main__":
    sys.exit(common.guarded(main))
