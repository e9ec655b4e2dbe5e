"""An index of a folder of photos: what it finds, how it follows the folder, and what it does with damage."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from semcomp.bitstream.container import read
from semcomp.cli.main import main
from semcomp.codec.codec import Codec
from semcomp.errors import FileError, FormatError, MissingFileError, ModelError, SemcompError, TargetError
from semcomp.search.describe import IndexTask
from semcomp.search.photo_index import PhotoIndex
from semcomp.search.store import Photo, Store
from semcomp.search.update import found_in
from semcomp.semantics.head import Embedder
from semcomp.semantics.results import Labels
from semcomp.semantics.signature import WINDOWS
from semcomp.semantics.stored import Semantics, from_heads, read_embedding
from tests.conftest import texture

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def photos(codec: Codec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stripes across and along, .semc files with tags and PNGs, and a damaged file."""
    folder = tmp_path_factory.mktemp("search") / "photos"
    (folder / "deep").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(4):
        for kind, name in enumerate(("across", "along")):
            picture = texture(kind, 96, 128, rng)
            labels = Labels(names=(name, "stripes"), scores=(0.9 - 0.1 * number, 0.5))
            data = codec.encode(picture, quality=60, semantics=Semantics(labels=labels))
            (folder / ("deep" if number % 2 else "") / f"{name}{number}.semc").write_bytes(data)
    Image.fromarray(texture(0, 80, 80, rng)).save(folder / "across9.png")
    (folder / "bad.semc").write_bytes(b"\x89SMC damaged")
    return folder


@pytest.fixture(scope="module")
def index(photos: Path) -> Path:
    file = photos.parent / "photos.index"
    assert main(["index", str(photos), "-o", str(file), "--embedder", "latents", "--quiet"]) == 1, "one is damaged"
    return file


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def names(hits: list[Any]) -> list[str]:
    return [Path(hit.path).stem for hit in hits]


def test_similar_photos_come_first(index: Path, photos: Path, codec: Codec, tmp_path: Path) -> None:
    like = tmp_path / "new.semc"
    like.write_bytes(codec.encode(texture(1, 90, 90, np.random.default_rng(9)), quality=40))
    hits = PhotoIndex(index).search(like=like, top=4)
    assert all(name.startswith("along") for name in names(hits))
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True) and hits[0].score > 0.5
    again = PhotoIndex(index).search(like=photos / "along0.semc", top=9)
    assert len(again) == 8 and "along0" not in names(again), "the photo itself is not among the results"
    assert len(PhotoIndex(index).search(like=(photos / "along0.semc").read_bytes(), top=20)) == 9


def test_labels_and_both(index: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert names(PhotoIndex(index).search(label="ALONG", top=3)) == ["along0", "along1", "along2"]
    both = PhotoIndex(index).search(like=photos / "across9.png", label="along")
    assert sorted(names(both)) == ["along0", "along1", "along2", "along3"]
    assert PhotoIndex(index).labels()[0] == ("stripes", 8)
    assert main(["search", str(index), "--label", "along", "--top", "2", "--json"]) == 0
    found = rows(capsys.readouterr().out)
    assert [Path(row["path"]).stem for row in found] == ["along0", "along1"] and found[0]["rank"] == 1
    assert Path(found[1]["path"]).is_file()
    assert main(["search", str(index), "--label", "zebra"]) == 0
    out, err = capsys.readouterr()
    assert out == "" and "nothing found; labels here: stripes (8)" in err


def test_the_index_follows_the_folder(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, file = tmp_path / "in", tmp_path / "a.index"
    shutil.copytree(photos, folder)
    arguments = ["index", str(folder), "-o", str(file), "--embedder", "latents", "--json"]
    assert main(arguments) == 1
    out, err = capsys.readouterr()
    *failed, summary = rows(out)
    assert [row["input"] for row in failed] == ["bad.semc"] and "bad.semc: " in err
    assert failed[0].keys() == {"command", "input", "ok", "error", "message"} and failed[0]["error"] == "FormatError"
    assert (summary["photos"], summary["added"], summary["failed"]) == (9, 9, 1) and summary["ok"] is False
    (folder / "bad.semc").unlink()
    (folder / "along0.semc").unlink()
    shutil.copy(folder / "across0.semc", folder / "across2.semc")
    shutil.copy(folder / "across0.semc", folder / "more.semc")
    assert main(arguments) == 0
    (summary,) = rows(capsys.readouterr().out)
    assert (summary["photos"], summary["added"], summary["unchanged"], summary["removed"]) == (9, 2, 7, 2)
    assert "along0" not in names(PhotoIndex(file).search(label="stripes", top=50))
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    shutil.move(folder, moved / "in")
    shutil.move(file, moved / "a.index")
    code = (
        "import sys; from semcomp.search.photo_index import PhotoIndex; "
        f"assert PhotoIndex({str(moved / 'a.index')!r}).update({str(moved / 'in')!r}).unchanged == 9; "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    hit = PhotoIndex(moved / "a.index").search(label="across", top=1)[0]
    assert Path(hit.path).is_file()


def test_processes_give_the_same_index(photos: Path, index: Path) -> None:
    file = photos.parent / "two.index"
    more = ["--embedder", "latents", "--quiet", "--threads", "2"]
    assert main(["index", str(photos), "-o", str(file), "-j", "2", *more]) == 1
    one, two = (Store(each, create=False) for each in (index, file))
    query = "SELECT path, width, height, embedding, error FROM photos ORDER BY path"
    assert len(one.rows(query)) == 10
    assert one.rows(query) == two.rows(query)


def test_an_index_keeps_what_it_was_made_with(index: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["index", str(photos), "-o", str(index), "--quiet"]) == 1, "the embedder is the one of the index"
    capsys.readouterr()
    assert main(["index", str(photos), "-o", str(index), "--embedder", "objects"]) == 1
    assert "embedding was latents and is objects): name another file, or overwrite it with --force" in (
        capsys.readouterr().err
    )
    assert main(["index", str(photos / "deep"), "-o", str(index)]) == 1
    assert "root was photos and is photos/deep" in capsys.readouterr().err
    assert len(PhotoIndex(index).search(label="stripes", top=20)) == 8


def test_a_stored_embedding_is_taken_and_needs_no_torch(codec: Codec, photos: Path, tmp_path: Path) -> None:
    folder, file = tmp_path / "in", tmp_path / "a.index"
    folder.mkdir()
    picture = texture(1, 96, 128, np.random.default_rng(4))
    (folder / "x.semc").write_bytes(codec.encode(picture, semantics=from_heads([], embedder=Embedder())))
    shutil.copy(photos / "across0.semc", folder)
    PhotoIndex(file).update(folder, task=IndexTask(embedder="latents"))
    code = (
        "import sys; from semcomp.search.photo_index import PhotoIndex; "
        f"hits = PhotoIndex({str(file)!r}).search(like={str(folder / 'x.semc')!r}); "
        "assert len(hits) == 1 and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_encode_stores_an_embedding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo, file = ROOT / "examples/photo.png", tmp_path / "x.semc"
    arguments = ["encode", str(photo), "-o", str(file), "--semantics", "embed", "--embedder", "imagenette"]
    assert main(arguments) == 0
    assert main(["info", str(file), "--json"]) == 0
    (row,) = rows(capsys.readouterr().out.splitlines()[-1])
    assert row["embedding"] == "imagenette"
    assert main([*arguments[:4], "-f", "--embedder", "imagenette"]) == 2
    assert "give --semantics embed too" in capsys.readouterr().err
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(file, folder)
    PhotoIndex(tmp_path / "i.index").update(folder, task=IndexTask(embedder="imagenette"))
    stored = read_embedding(read(file.read_bytes()))
    assert stored is not None and stored.vector.shape == (1280,)
    assert Store(tmp_path / "i.index", create=False).vectors("embedding")[1].tolist() == [stored.vector.tolist()]


def test_copies_are_grouped_and_others_are_not(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    store = Store(tmp_path / "a.index", create=True)
    vectors = rng.integers(-127, 128, (40, len(WINDOWS), 144)).astype(np.int8)
    vectors[7] = vectors[3] // 2
    vectors[21] = (vectors[3].astype(int) + rng.integers(-20, 21, (len(WINDOWS), 144))).clip(-127, 127)
    vectors[30, 0] = vectors[12, 5]  # the whole of one is a crop of the other
    vectors[31, 1] = vectors[12, 6]  # two crops that are alike say nothing
    store.put(Photo(f"{k}.semc", 1, 1, signature=vectors[k].tobytes()) for k in range(40))
    store.set_about({"root": "photos", "threshold": "0.9"})
    groups = PhotoIndex(tmp_path / "a.index").duplicates()
    assert [[Path(path).name for path in group] for group in groups] == [
        ["3.semc", "7.semc", "21.semc"],
        ["12.semc", "30.semc"],
    ]
    assert PhotoIndex(tmp_path / "a.index").duplicates(threshold=1.0) == []


def test_signatures_of_an_earlier_version_are_refused(tmp_path: Path) -> None:
    store = Store(tmp_path / "a.index", create=True)
    store.put([Photo("a.semc", 1, 1, signature=bytes(72))])
    store.set_about({"root": "photos", "threshold": "0.9"})
    with pytest.raises(FormatError, match="signatures of an earlier version: make it again"):
        PhotoIndex(tmp_path / "a.index").duplicates()


def test_an_index_without_signatures_says_so(tmp_path: Path) -> None:
    Store(tmp_path / "a.index", create=True).set_about({"root": "."})
    with pytest.raises(ModelError, match="no signatures"):
        PhotoIndex(tmp_path / "a.index").duplicates()


def test_what_is_not_an_index_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.index").write_text("photos" * 1000)
    with pytest.raises(FormatError, match="damaged or not an index"):
        PhotoIndex(tmp_path / "text.index").search(label="x")
    with pytest.raises(MissingFileError, match="semcomp index FOLDER"):
        PhotoIndex(tmp_path / "none.index").search(label="x")
    with pytest.raises(TargetError, match="give a photo"):
        PhotoIndex(tmp_path / "none.index").search()
    assert main(["search", str(tmp_path / "text.index"), "--label", "x"]) == 3
    for wrong in ([], ["--like", "a", "--duplicates"], ["--label", "a", "--threshold", "0.5"]):
        assert main(["search", "x.index", *wrong]) == 2
    assert main(["index", str(tmp_path / "nowhere"), "-o", str(tmp_path / "b.index")]) == 1


def test_a_picture_beside_its_file_and_hidden_folders_are_left_out(tmp_path: Path) -> None:
    for name in ("a.png", "a.semc", "b.JPG", "notes.txt", ".hidden/c.png", "deep/a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert found_in(tmp_path) == ["a.semc", "b.JPG", "deep/a.png"]


def test_an_update_forgets_where_the_index_was_before(tmp_path: Path) -> None:
    store = Store(tmp_path / "a.index", create=True)
    store.put([Photo("x.semc", 1, 1, embedding=b"1", labels=(("dog", 0.5), ("Dog", 0.9), ("cat", 0.7)))])
    store.set_about({"root": "one"})
    index = PhotoIndex(tmp_path / "a.index")
    assert index.search(label="dog") == [(str(tmp_path / "one/x.semc"), 0.9)], "one hit for one photo"
    store.set_about({"root": "two"})
    index.close()
    assert index.search(label="dog") == [(str(tmp_path / "two/x.semc"), 0.9)]
    with pytest.raises(TargetError, match="from 1, not 0"):
        index.search(label="dog", top=0)


def test_a_name_that_is_no_text_fails_alone(tmp_path: Path) -> None:
    about = {"root": ".", "model": "base", "embedder": "latents", "embedding": "latents", "classify": ""}
    Store(tmp_path / "a.index", create=True).set_about(about)
    summary = PhotoIndex(tmp_path / "a.index").update(tmp_path, files=["d\udcfcne.jpg"])
    assert list(summary.failures) == ["d\udcfcne.jpg"] and "rename it" in summary.failures["d\udcfcne.jpg"]
    assert (summary.photos, summary.added, summary.unchanged) == (0, 0, 0)


def test_labels_of_another_confidence_are_another_index(photos: Path, tmp_path: Path) -> None:
    about = {"root": "photos", "model": "base", "embedder": "latents", "embedding": "latents", "classify": "street"}
    file = photos.parent / "sure.index"
    Store(file, create=True).set_about(about)
    with pytest.raises(TargetError, match=r"min_confidence was 0\.0 and is 0\.9"):
        PhotoIndex(file).update(photos, task=IndexTask(embedder="latents", classify="street", min_confidence=0.9))
    assert file.is_file(), "what was made before stays"


def test_an_index_that_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "link.index").symlink_to(tmp_path / "nowhere" / "b.index")
    with pytest.raises(FileError, match=r"unable to open database file\): name another file"):
        Store(tmp_path / "link.index", create=True)
    (tmp_path / "a.index").touch()  # a process was killed before it wrote anything
    with pytest.raises(MissingFileError, match="semcomp index FOLDER"):
        PhotoIndex(tmp_path / "a.index").search(label="x")
    with pytest.raises(ModelError):
        PhotoIndex(tmp_path / "a.index").update(tmp_path, files=[], task=IndexTask(model="no-such-weights"))
    assert not (tmp_path / "a.index").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--like", "gone.png"], "gone.png cannot be read: No such file"),
        (["--like", "text.png"], "text.png: the file is not an image, but text"),
    ],
)
def test_the_photo_is_named_that_cannot_be_read(
    index: Path, tmp_path: Path, arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.png").write_text("hello")
    assert main(["search", str(index), *arguments]) == 1
    assert said in capsys.readouterr().err


def test_an_index_that_cannot_be_opened_or_was_made_otherwise(photos: Path, index: Path, capsys: Any) -> None:
    assert main(["index", str(photos), "-o", str(photos)]) == 1
    assert "is a folder, and an index is a file: semcomp index" in capsys.readouterr().err
    assert main(["search", str(photos), "--label", "dog"]) == 1
    assert f"-o {photos.name}.index makes one" in capsys.readouterr().err
    assert main(["index", str(photos), "-o", "-"]) == 2 and not Path("-").exists()
    assert main(["index", str(photos), "-o", str(index), "--head", "imagenette"]) == 1
    assert "head was none and is imagenette" in capsys.readouterr().err


def test_a_new_index_that_cannot_be_filled_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semcomp.search.store._TABLES", "SELECT no_such_function();")
    with pytest.raises(FormatError, match="cannot be used as an index"):
        Store(tmp_path / "a.index", create=True)
    assert not list(tmp_path.iterdir())


def test_labels_go_with_their_photo(tmp_path: Path) -> None:
    store = Store(tmp_path / "a.index", create=True)
    store.put([Photo("a.semc", 1, 1, labels=(("dog", 0.5),))])
    store.remove(["a.semc"])
    store.put([Photo("b.semc", 1, 1)])  # may get the number that was free
    assert store.rows("SELECT path FROM photos") == [("b.semc",)] and not store.rows("SELECT * FROM labels")
    store.put([Photo("b.semc", 2, 2, labels=(("cat", 0.5),))])
    store.put([Photo("b.semc", 3, 3, labels=(("fox", 0.5),))])
    assert store.rows("SELECT name FROM labels") == [("fox",)]


def test_an_index_that_another_process_writes_says_so(tmp_path: Path) -> None:
    one, two = (Store(tmp_path / "a.index", create=True) for _ in range(2))
    two.connection.execute("PRAGMA busy_timeout = 1")
    one.connection.execute("BEGIN EXCLUSIVE")
    with pytest.raises(SemcompError, match=r"another process writes .*a.index: wait until it has ended") as raised:
        two.about()
    assert not isinstance(raised.value, FormatError)


def test_exact_pixels_of_16_bits_are_indexed(
    codec: Codec, lossless_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, file = tmp_path / "in", tmp_path / "a.index"
    folder.mkdir()
    picture = texture(1, 96, 128, np.random.default_rng(4))
    exact = Codec(codec.release)
    exact.lossless_weights = lossless_file
    deep: Any = picture.astype(np.uint16) * 257
    (folder / "deep.semc").write_bytes(exact.encode_exact(deep))
    arguments = ["index", str(folder), "-o", str(file), "--embedder", "latents", "--json"]
    assert main(arguments) == 1
    failed = rows(capsys.readouterr().out)[0]
    assert failed["error"] == "ModelError" and "pass --lossless-weights FILE" in failed["message"]
    assert main([*arguments, "--lossless-weights", str(lossless_file)]) == 0
    assert main([*arguments]) == 0, "the index knows where the weights are"
    (hit,) = PhotoIndex(file).search(like=codec.encode(picture, quality=75))
    assert Path(hit.path).name == "deep.semc" and hit.score > 0.99
    copy = tmp_path / "copy.semc"
    shutil.copy(folder / "deep.semc", copy)
    assert PhotoIndex(file).search(like=copy)[0].score > 0.999


def test_search_takes_the_graphs_of_the_index(
    refined_export: tuple[Codec, Path, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, graphs, _ = refined_export
    here, moved, photos = tmp_path / "edge", tmp_path / "moved", tmp_path / "in"
    shutil.copytree(graphs, here)
    photos.mkdir()
    for kind, name in enumerate(("across", "along")):
        Image.fromarray(texture(kind, 96, 128, np.random.default_rng(kind))).save(photos / f"{name}.png")
    like, file = str(photos / "along.png"), str(tmp_path / "a.index")
    arguments = ["index", str(photos), "-o", file, "--embedder", "latents", "--quiet"]
    assert main([*arguments, "--graphs", str(here)]) == 0
    assert main(["search", file, "--like", like, "--json"]) == 0
    assert [Path(row["path"]).name for row in rows(capsys.readouterr().out)] == ["across.png"]
    here.rename(moved)
    assert main(["search", file, "--like", like]) == 4, "the released codec made other latents"
    assert "give --graphs DIR" in capsys.readouterr().err
    assert main(["search", file, "--like", like, "--graphs", str(moved)]) == 0
    assert main(["search", file, "--label", "x", "--graphs", str(moved)]) == 2
    assert main([*arguments, "--graphs", str(moved)]) == 0
    assert main(["search", file, "--like", like]) == 0, "the index notes where the graphs are now"
