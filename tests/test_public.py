"""The public surface: few names, guarded, and cheap to import."""

from __future__ import annotations

import subprocess
import sys

import pytest

import semcomp

PUBLIC = {
    "load",
    "Codec",
    "Encoded",
    "Latents",
    "info",
    "Info",
    "SemcompError",
    "FormatError",
    "ModelError",
    "ImageError",
    "TargetError",
    "MissingExtraError",
    "SemcompWarning",
    "__version__",
    "load_head",
}


def test_public_names_are_these_and_no_others() -> None:
    assert set(semcomp.__all__) == PUBLIC
    assert len(semcomp.__all__) == len(PUBLIC) <= 15
    assert set(semcomp.__all__) <= set(dir(semcomp))


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_name_resolves_to_its_home(name: str) -> None:
    value = getattr(semcomp, name)
    assert value is getattr(semcomp, name)
    if name != "__version__":
        assert value.__module__.startswith("semcomp.") and value.__doc__


def test_an_unknown_name_says_which_there_are() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'lode'; public names: load, "):
        _ = semcomp.lode


def test_all_errors_derive_from_one() -> None:
    for name in PUBLIC:
        value = getattr(semcomp, name)
        if isinstance(value, type) and issubclass(value, Exception) and name != "SemcompWarning":
            assert issubclass(value, semcomp.SemcompError)


@pytest.mark.parametrize(
    ("statement", "forbidden"),
    [
        ("import semcomp", ("torch", "numpy", "PIL", "tqdm")),
        ("import semcomp; semcomp.info; semcomp.SemcompError", ("torch", "numpy", "PIL")),
        (
            "from semcomp.cli.parser import build_parser; build_parser(['encode']).format_help()",
            ("torch", "numpy", "PIL", "tqdm"),
        ),
        ("import semcomp.cli.commands.info", ("torch", "numpy", "PIL", "tqdm")),
        ("import semcomp.pillow", ("torch", "numpy")),
        ("import semcomp.imaging.picture", ("torch",)),
        ("import semcomp.bitstream.frequency_tables, semcomp.bitstream.symbol_stream", ("torch",)),
        ("import semcomp.storage.files, semcomp.storage.listing, semcomp.weights.hub", ("torch", "numpy", "fsspec")),
        ("import semcomp.scale.run, semcomp.cli.commands.map", ("torch", "numpy", "pyarrow", "ray", "fsspec")),
        ("import semcomp.edge", ("torch", "safetensors", "onnxruntime")),
    ],
)
def test_imports_stay_light(statement: str, forbidden: tuple[str, ...]) -> None:
    code = f"import sys; {statement}; print([name for name in {forbidden!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
