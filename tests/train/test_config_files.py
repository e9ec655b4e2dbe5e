"""Configuration files with mistakes in them: each is a sentence that names the file, the key or the value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from semcomp.config import dump, load
from semcomp.errors import FileError
from train import checkpoint, codec, export, lossless, restore, thumbs, thumbs_context, thumbs_pixels, thumbs_repair


@dataclass(frozen=True, kw_only=True)
class Inner:
    rate: float = 1.0
    steps: int = 3


@dataclass(frozen=True, kw_only=True)
class Run:
    name: str
    inner: Inner = Inner()


@pytest.mark.parametrize("rate", ["1e-4", "1.0e-4", "0.0001", "1E-04"])
def test_numbers_with_an_exponent(tmp_path: Path, rate: str) -> None:
    (tmp_path / "a.yaml").write_text(f"name: a\ninner:\n  rate: {rate}\n")
    assert load(Run, tmp_path / "a.yaml").inner.rate == 1e-4
    assert load(Run, None, overrides=["name=a", f"inner.rate={rate}"]).inner.rate == 1e-4


def test_a_dumped_configuration_is_read_back(tmp_path: Path) -> None:
    config = Run(name="1e5", inner=Inner(rate=3e-07))
    (tmp_path / "a.yaml").write_text(dump(config))
    assert load(Run, tmp_path / "a.yaml") == config


@pytest.mark.parametrize(
    ("text", "overrides", "said"),
    [
        ("name: a\nname: b", [], "a.yaml is not valid YAML in line 2: the key name comes twice"),
        ("name: [", [], "a.yaml is not valid YAML in line 1"),
        ("- 1", [], "a.yaml holds list instead of keys"),
        ("1: 2", [], "a.yaml: unknown key 1"),
        ("nam: a", [], "unknown key nam; did you mean name?"),
        ("inner: {rate: 1}", [], "name is missing"),
        ("name: a\ninner: {rate: .nan}", [], "inner.rate must be a finite number, not nan"),
        ("name: a\ninner: {rate: -.inf}", [], "inner.rate must be a finite number, not -inf"),
        ("name: a\ninner: {steps: 1e3}", [], "inner.steps must be int, not 1000.0"),
        ("name: a\ninner: 3", ["inner.rate=2"], "sets a key of inner, which is 3"),
        ("name: a", ["inner.rate=["], "inner.rate=[ is not valid YAML"),
        ("name: a", ["=3"], "an override must be key=value"),
        ("name: a", ["name"], "an override must be key=value"),
    ],
)
def test_mistakes_are_sentences(tmp_path: Path, text: str, overrides: list[str], said: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ValueError) as caught:
        load(Run, tmp_path / "a.yaml", overrides=overrides)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_key_without_a_value_takes_overrides(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("name: a\ninner:\n")
    assert load(Run, tmp_path / "a.yaml", overrides=["inner.steps=9"]).inner.steps == 9


def test_files_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\xff")
    with pytest.raises(ValueError, match="is not text in UTF-8"):
        load(Run, tmp_path / "a.png")
    for wrong in (tmp_path, tmp_path / "gone.yaml"):
        with pytest.raises(FileError, match="cannot be read"):
            load(Run, wrong)


@pytest.mark.parametrize("program", [codec, lossless, restore, thumbs, thumbs_context, thumbs_pixels, thumbs_repair])
def test_every_program_says_them(program: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.yaml").write_text("stepps: 3")
    own = ["--runs", str(tmp_path / "runs")] if program in (codec, lossless, restore) else ["-o", str(tmp_path / "o")]
    for file, said in (("a.yaml", "unknown key stepps"), ("gone.yaml", "cannot be read")):
        with pytest.raises(SystemExit) as caught:
            program.main([str(tmp_path / file), *own])  # type: ignore[attr-defined]
        assert caught.value.code == 2 and said in capsys.readouterr().err
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.yaml"]


@pytest.mark.parametrize("wrong", [["--max-minutes", "nan"], ["--max-minutes", "-1"], ["--set", "name=../up"]])
def test_what_would_run_for_ever_or_elsewhere_is_refused(
    wrong: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        codec.main(
            [str(Path(__file__).parents[2] / "configs/codec_base.yaml"), *wrong, "--runs", str(tmp_path / "runs")]
        )
    assert caught.value.code == 2 and capsys.readouterr().err and not (tmp_path / "up").exists()


def test_states_that_are_missing_or_damaged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "state.safetensors").write_bytes(b"damaged, and long enough to have a header")
    for wrong in (tmp_path / "state.safetensors", tmp_path / "gone", tmp_path):
        with pytest.raises(ValueError, match="is not a state of a training"):
            checkpoint.load_state(wrong)
    with pytest.raises(SystemExit):
        export.main([str(tmp_path / "gone"), str(tmp_path / "a.safetensors")])
    assert "config.yaml cannot be read" in capsys.readouterr().err
