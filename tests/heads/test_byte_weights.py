"""Weights of heads in bytes: small files, and the weights that were measured."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import safe_open

from heads.byte_weights import from_bytes, in_bytes, round_weights
from heads.classifier import ClassifierConfig, ClassifierNetwork
from heads.head_file import HeadInfo, build_head, read_head, save_head

INFO = HeadInfo(name="x", task="classify", classes=("a", "b"), entropy_id="00" * 8)


def test_weights_are_within_half_a_step_and_a_file_holds_what_was_rounded(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = ClassifierNetwork(ClassifierConfig(classes=2))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    round_weights(network)
    for name, value in network.state_dict().items():
        step = before[name].flatten(1).abs().amax(1) / 127 if value.ndim > 1 and value.numel() >= 4096 else None
        if step is None:
            assert torch.equal(value, before[name]), name
        else:
            assert ((value - before[name]).flatten(1).abs() <= 0.5001 * step[:, None]).all(), name
            assert not torch.equal(value, before[name]), name
    save_head(build_head(INFO, network), tmp_path / "x.safetensors")
    again = read_head(tmp_path / "x.safetensors").network.state_dict()
    for name, value in network.state_dict().items():
        if value.ndim > 1 and value.numel() >= 4096:
            torch.testing.assert_close(again[name], value, rtol=1e-6, atol=0)
    count = sum(value.numel() for value in network.state_dict().values())
    assert (tmp_path / "x.safetensors").stat().st_size < 1.15 * count
    with safe_open(tmp_path / "x.safetensors", "pt") as file:
        assert file.get_tensor("downs.0.conv.weight").dtype == torch.int8


def test_rows_of_zeros_and_files_without_bytes_are_read_as_they_are() -> None:
    weight = torch.randn(64, 80)
    weight[3] = 0
    stored = in_bytes({"w": weight, "b": torch.randn(64), "norm.num_batches_tracked": torch.tensor(3)})
    assert sorted(stored) == ["b", "w", "w.step"]
    assert from_bytes(stored)["w"][3].abs().max() == 0
    half = {"w": weight.half(), "b": torch.randn(64).half()}
    assert all(torch.equal(from_bytes(half)[name], value) for name, value in half.items())
