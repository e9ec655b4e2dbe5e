"""`semcomp doctor`: what is installed, and whether symbols decode exactly on this machine."""

from __future__ import annotations

import os
import time
from argparse import Namespace
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from semcomp.backend import has_library
from semcomp.cli.batch import on_graphs
from semcomp.cli.exit_codes import EXIT_FAILED, EXIT_OK
from semcomp.cli.shared_options import NewParser, SharedOptions, add_graphs
from semcomp.cli.terminal import complain, say, say_json

CORE = ("torch", "numpy", "pillow", "safetensors", "constriction", "tqdm", "PyYAML")
CLIENT = ("numpy", "pillow", "onnxruntime", "constriction", "tqdm")
"""What a client on graphs is made of."""
EXTRAS = {
    "train": (
        "torchvision",
        "compressai",
        "segmentation_models_pytorch",
        "lpips",
        "torchmetrics",
        "tensorboard",
        "lightning",
    ),
    "export": ("onnx", "onnxscript", "onnxruntime"),
    "edge": ("onnxruntime",),
    "eval": ("imagecodecs", "matplotlib", "bjontegaard", "lpips", "torchmetrics", "ssimulacra2"),
    "fast": ("numba",),
    "scale": ("fsspec", "s3fs", "pyarrow", "huggingface_hub", "ray"),
}
"""What each extra of `semcomp` brings."""
CLIENT_EXTRAS = ("scale",)
"""The extras that `semcomp-edge` has too."""


def add_parser(new_parser: NewParser, shared: SharedOptions) -> None:
    """Add the command and its options."""
    parser = new_parser(
        parents=[shared.output],
        description="Say what is installed and prove that symbols decode exactly on this machine.",
    )
    add_graphs(parser)
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Print the report; returns 0 if every check holds, else 1 or the exit code of the error that stopped it."""
    from semcomp.errors import SemcompError

    library = has_library()
    report: dict[str, Any] = {
        "command": "doctor",
        "versions": versions(CLIENT if on_graphs(options) else CORE),
        "devices": devices(),
        "library": library,
        "extras": {
            extra: all(find_spec(name) for name in EXTRAS[extra]) for extra in (EXTRAS if library else CLIENT_EXTRAS)
        },
        "coder": "constriction" if find_spec("constriction") else "plain Python (slower, the same bytes)",
    }
    start = time.perf_counter()
    code = EXIT_OK
    try:
        found = _self_test(options)
        checks = [{"name": name, "ok": bool(ok), "detail": str(detail)} for name, ok, detail in found]
    except SemcompError as error:
        checks = [{"name": "self-test", "ok": False, "detail": str(error)}]
        code = error.exit_code
    report["checks"] = checks
    report["seconds"] = round(time.perf_counter() - start, 3)
    report["ok"] = all(check["ok"] for check in checks)
    if options.json:
        say_json(report)
    elif not options.quiet:
        say(describe(report))
    elif not report["ok"]:
        complain("semcomp doctor: the self-test failed")
    return EXIT_OK if report["ok"] else code or EXIT_FAILED


def _self_test(options: Namespace) -> list[tuple[str, bool, str]]:
    if on_graphs(options):
        from semcomp.edge.client import EdgeCodec
        from semcomp.edge.self_test import self_test as test_graphs

        return test_graphs(EdgeCodec(options.graphs))
    from semcomp.codec.codec import load
    from semcomp.codec.self_test import self_test

    return self_test(load().release)


def versions(packages: Sequence[str] = CORE) -> dict[str, str | None]:
    """Map each package to its version, or to None where it is not installed."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    import semcomp

    found: dict[str, str | None] = {"semcomp": semcomp.__version__, "python": platform.python_version()}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def devices() -> dict[str, Any]:
    """Describe the devices that networks could run on."""
    import platform

    found: dict[str, Any] = {"platform": platform.platform(), "machine": platform.machine(), "cores": os.cpu_count()}
    if not has_library():
        return {**found, "torch_threads": None, "cuda": [], "mps": False}
    import torch

    return {
        **found,
        "torch_threads": torch.get_num_threads(),
        "cuda": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
        "mps": torch.backends.mps.is_available(),
    }


def describe(report: dict[str, Any]) -> list[str]:
    """Describe the report in a few lines for a person."""
    where = report["devices"]
    gpus = ", ".join([*where["cuda"], *(["MPS"] if where["mps"] else [])]) or "none"
    lines = ["versions   " + "  ".join(f"{name} {found or 'MISSING'}" for name, found in report["versions"].items())]
    used = where["torch_threads"] or where["cores"]
    lines.append(f"devices    {where['cores']} cores ({where['machine']}), {used} used; GPU: {gpus}")
    if not report["library"]:
        lines.append("library    not installed: pip install semcomp (training, eval, compare, export, other weights)")
    distribution = "semcomp" if report["library"] else "semcomp-edge"
    for extra, complete in report["extras"].items():
        state = "installed" if complete else f"not installed: pip install '{distribution}[{extra}]'"
        lines.append(f"extra      {extra:<8}{state}")
    lines.append(f"coder      {report['coder']}")
    for check in report["checks"]:
        lines.append(f"{'ok' if check['ok'] else 'FAILED':<11}{check['name']}: {check['detail']}")
    verdict = "all is well" if report["ok"] else "something is wrong, see above"
    lines.append(f"{verdict} ({report['seconds']:.1f} s of self-test)")
    return lines
