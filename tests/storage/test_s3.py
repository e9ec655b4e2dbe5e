"""An object store on this machine: photos in a bucket become .semc files in the bucket."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import semcomp
from semcomp.cli.main import main
from semcomp.storage.files import exists, is_folder, names_in, read_bytes, remove, write_bytes
from semcomp.storage.shards import pack_shard, read_shard

pytest.importorskip("s3fs", reason="needs pip install 'semcomp[scale]'")
server = pytest.importorskip("moto.server", reason="needs moto", exc_type=ImportError)
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The address of a local object store with an empty bucket."""
    running = server.ThreadedMotoServer(port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a bucket. s3fs finds the store through the environment, as a user's does."""
    import s3fs

    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    system = s3fs.S3FileSystem()
    if not system.exists("photos"):
        system.mkdir("photos")
    return "s3://photos"


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), (9, 120, 30)).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_bucket_is_encoded_into_a_bucket(bucket: str, stand_in: Any, capsys: pytest.CaptureFixture[str]) -> None:
    write_bytes(f"{bucket}/in/a.png", png())
    write_bytes(f"{bucket}/in/deep/b.png", png())
    assert is_folder(f"{bucket}/in") and exists(f"{bucket}/in/a.png")
    assert main(["encode", f"{bucket}/in", "-o", f"{bucket}/out"]) == 0
    assert semcomp.info(f"{bucket}/out/deep/b.semc").width == 40
    assert main(["decode", f"{bucket}/out/a.semc", "-o", f"{bucket}/back.png"]) == 0
    assert read_bytes(f"{bucket}/back.png").startswith(b"\x89PNG")
    remove(f"{bucket}/back.png")
    assert not exists(f"{bucket}/back.png")
    capsys.readouterr()
    assert main(["encode", f"{bucket}/in/nowhere.png"]) == 1
    assert "no such file or folder" in capsys.readouterr().err


def test_a_shard_in_a_bucket_is_read_as_a_stream(bucket: str) -> None:
    write_bytes(f"{bucket}/s.tar", pack_shard([("a", {"semc": b"1"}), ("b", {"semc": b"2"})]))
    assert [sample.key for sample in read_shard(f"{bucket}/s.tar")] == ["a", "b"]


def test_a_bucket_that_is_not_there_is_a_sentence(bucket: str) -> None:
    with pytest.raises(OSError, match="nowhere"):
        read_bytes("s3://nowhere/a.png")


def test_rows_of_a_bucket_go_to_the_bucket_and_a_run_goes_on(bucket: str, capsys: pytest.CaptureFixture[str]) -> None:
    pq = pytest.importorskip("pyarrow.parquet", exc_type=ImportError)
    golden = sorted((Path(__file__).parents[1] / "golden").glob("*.semc"))
    for path in golden:
        write_bytes(f"{bucket}/small/{path.name}", path.read_bytes())
    arguments = ["map", "info", f"{bucket}/small", "-o", f"{bucket}/rows.parquet", "--block", "3"]
    assert main(arguments) == 0
    first = read_bytes(f"{bucket}/rows.parquet/part-000000.parquet")
    remove(f"{bucket}/rows.parquet/part-000001.parquet")  # as if the run had been killed in this block
    capsys.readouterr()
    assert main(arguments) == 0
    assert "3 files in" in capsys.readouterr().err
    assert read_bytes(f"{bucket}/rows.parquet/part-000000.parquet") == first, "what was done is not done again"
    parts = [name for name in names_in(f"{bucket}/rows.parquet") if name.startswith("part-")]
    tables = [pq.read_table(io.BytesIO(read_bytes(f"{bucket}/rows.parquet/{part}"))) for part in parts]
    rows = [row for table in tables for row in table.to_pylist()]
    assert [row["path"] for row in rows] == [f"{bucket}/small/{path.name}" for path in golden]
    assert all(row["width"] for row in rows)
