"""Shards: what we write webdataset reads, and the other way round."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from semcomp.errors import FormatError
from semcomp.storage.shards import pack_shard, read_shard, samples_of

SAMPLES = [("photos/0001", {"semc": b"one", "cls": b"3", "seg.png": b"mask"}), ("photos/0002", {"semc": b"two"})]


def test_what_is_packed_is_read(tmp_path: Path) -> None:
    (tmp_path / "s.tar").write_bytes(pack_shard(SAMPLES))
    assert [(sample.key, sample.members) for sample in read_shard(str(tmp_path / "s.tar"))] == SAMPLES
    assert pack_shard(SAMPLES) == pack_shard(SAMPLES)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # webdataset leaves the shard open
def test_webdataset_reads_our_shards(tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    (tmp_path / "s.tar").write_bytes(pack_shard(SAMPLES))
    read = list(webdataset.WebDataset(str(tmp_path / "s.tar"), shardshuffle=False))
    assert [sample["__key__"] for sample in read] == [key for key, _ in SAMPLES]
    assert read[0]["semc"] == b"one" and read[0]["seg.png"] == b"mask"


def test_we_read_the_shards_of_webdataset(tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    with webdataset.TarWriter(str(tmp_path / "s.tar")) as writer:
        for key, members in SAMPLES:
            writer.write({"__key__": key, **members})
    assert [(s.key, set(s.members)) for s in read_shard(str(tmp_path / "s.tar"))] == [(k, set(m)) for k, m in SAMPLES]


def test_a_compressed_shard_is_read(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "s.tar.gz", "w:gz") as tar:
        entry = tarfile.TarInfo("a.semc")
        entry.size = 3
        tar.addfile(entry, io.BytesIO(b"abc"))
    assert [sample.members for sample in read_shard(str(tmp_path / "s.tar.gz"))] == [{"semc": b"abc"}]


@pytest.mark.parametrize("cut", [0, 100, 700, 1024, 1100, 3072])
def test_a_cut_shard_says_so(cut: int) -> None:
    with pytest.raises(FormatError, match="s is not a whole tar file"):
        list(samples_of(io.BytesIO(pack_shard(SAMPLES)[:cut]), name="s"))


def test_a_sample_without_end_is_refused() -> None:
    members = {str(number): b"" for number in range(256)}
    (sample,) = samples_of(io.BytesIO(pack_shard([("a", members)])), name="s")
    assert len(sample.members) == 256
    members["more"] = b""
    with pytest.raises(FormatError, match="the sample a has more than 256 members"):
        list(samples_of(io.BytesIO(pack_shard([("a", members)])), name="s"))


def test_a_giant_member_is_refused() -> None:
    with pytest.raises(FormatError, match="at most 3 are read"):
        list(samples_of(io.BytesIO(pack_shard(SAMPLES)), name="s", max_member=3))
