"""Which files an argument stands for, and where results go: trees, links, pipes, own outputs, targets."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from semcomp.bitstream.container import MAGIC
from semcomp.cli.inputs import IMAGE_SUFFIXES, expand
from semcomp.cli.main import main
from semcomp.cli.own_outputs import mark, own_output
from semcomp.cli.paths import Job, plan_jobs, write_target
from semcomp.workers import remove_temporaries, temporary_beside


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: t/a.png, t/deep/b.jpg."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t/deep").mkdir(parents=True)
    picture = Image.new("RGB", (40, 30), (90, 120, 30))
    picture.save("t/a.png")
    picture.save("t/deep/b.jpg")
    return tmp_path


def sources(*names: str, suffixes: tuple[str, ...] = IMAGE_SUFFIXES) -> list[str]:
    return [Path(entry.source).as_posix() for entry in expand(names, suffixes).found]


class TestTrees:
    def test_a_link_to_a_parent_yields_every_picture_once(self, folder: Path) -> None:
        (folder / "t/deep/up").symlink_to(folder / "t", target_is_directory=True)
        (folder / "t/self").symlink_to(".", target_is_directory=True)
        for name in ("t", "t/**", "t/**/*", "./t"):
            assert sources(name) == [f"{'t'}/a.png", "t/deep/b.jpg"], name
        assert sources("t/**/*.png") == ["t/a.png"]
        assert sources("t", "t/a.png", "t/self/a.png") == ["t/a.png", "t/deep/b.jpg"]

    def test_a_linked_subfolder_is_followed(self, folder: Path) -> None:
        (folder / "elsewhere").mkdir()
        Image.new("RGB", (8, 8)).save("elsewhere/c.png")
        (folder / "t/link").symlink_to(folder / "elsewhere", target_is_directory=True)
        assert sources("t") == ["t/a.png", "t/deep/b.jpg", "t/link/c.png"]
        assert sources("t/**/*.png") == ["t/a.png", "t/link/c.png"]

    @pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".pbm", ".apng", ".heif", ".avifs", ".jxl", ".JPG", ".dib"])
    def test_no_suffix_of_a_picture_is_left_out(self, folder: Path, suffix: str) -> None:
        (folder / f"t/x{suffix}").write_bytes(b"")
        assert f"t/x{suffix}" in sources("t")

    @pytest.mark.parametrize("name", ["t", "t/*", "t/**/*.png"])
    def test_a_link_that_leads_nowhere_fails(
        self, folder: Path, stand_in: Any, name: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (folder / "t/lost.png").symlink_to("nowhere.png")
        assert main(["encode", name, "-o", "out"]) == 1
        assert "t/lost.png: No such file" in capsys.readouterr().err and (folder / "out/a.semc").exists()

    def test_hidden_files_are_left_out_unless_named(self, folder: Path) -> None:
        Image.new("RGB", (8, 8)).save("t/.hidden.png")
        assert "t/.hidden.png" not in sources("t", "t/*")
        assert sources("t/.*.png") == ["t/.hidden.png"]

    @pytest.mark.parametrize("name", ["t", "t/**/*.*"])
    def test_a_folder_that_cannot_be_read_is_a_failure(
        self, folder: Path, stand_in: Any, lock: Callable[[str], None], capsys: Any, name: str
    ) -> None:
        lock("deep")
        assert main(["encode", name, "-o", "out"]) == 1
        assert "t/deep: the folder cannot be read: Permission denied" in capsys.readouterr().err
        assert (folder / "out/a.semc").exists()

    def test_info_of_a_folder(self, folder: Path, stand_in: Any, capsys: Any) -> None:
        assert main(["encode", "t"]) == 0
        capsys.readouterr()
        assert main(["info", "t"]) == 0
        out = capsys.readouterr().out
        assert "t/a.semc: 40x30" in out and "t/deep/b.semc: 40x30" in out
        assert main(["info", "t", "missing"]) == 1
        assert "missing: no such file" in capsys.readouterr().err


class TestOwnOutputs:
    @pytest.mark.parametrize("what", ["label map", "overlay", "plot"])
    def test_a_mark_is_read_and_the_picture_stays(self, folder: Path, what: str) -> None:
        png = Path("t/a.png").read_bytes()
        Path("t/m.png").write_bytes(mark(png, what))
        assert own_output("t/m.png") == what and own_output("t/a.png") is None and own_output("t/deep/b.jpg") is None
        with Image.open("t/m.png") as image, Image.open("t/a.png") as plain:
            assert np.array_equal(np.asarray(image), np.asarray(plain))
            assert image.text["semcomp"] == what

    def test_they_are_never_inputs(self, folder: Path, stand_in: Any, capsys: Any) -> None:
        png = Path("t/a.png").read_bytes()
        Path("t/renamed.png").write_bytes(mark(png, "label map"))
        assert sources("t") == ["t/a.png", "t/deep/b.jpg"]
        assert main(["encode", "t", "-o", "out"]) == 0
        assert "left out 1 picture that semcomp wrote" in capsys.readouterr().err
        assert not (folder / "out/renamed.semc").exists()
        assert main(["encode", "t/renamed.png"]) == 1
        assert "t/renamed.png: semcomp wrote this label map; it is not a photo" in capsys.readouterr().err
        assert main(["compare", "t/renamed.png"]) == 2
        assert "t/renamed.png: semcomp wrote this label map; it is not a photo" in capsys.readouterr().err

    def test_an_empty_name_is_not_the_current_folder(self, folder: Path, stand_in: Any, capsys: Any) -> None:
        assert main(["encode", ""]) == 1
        assert "the name of an input is empty" in capsys.readouterr().err
        with pytest.raises(SystemExit):
            main(["encode", "t/a.png", "-o", ""])
        assert capsys.readouterr().err.endswith("argument -o/--output: its value is empty: give OUT\n")
        assert not list(folder.rglob("*.semc"))

    def test_one_result_a_picture(self, folder: Path, stand_in: Any) -> None:
        assert main(["encode", "t"]) == 0
        both = (".semc", *IMAGE_SUFFIXES)
        assert sources("t", suffixes=both) == ["t/a.semc", "t/deep/b.semc"]
        plan = plan_jobs(["t"], output=None, read_suffixes=both, write_suffix=".labels.png")
        assert [job.target for job in plan.jobs] == ["t/a.labels.png", "t/deep/b.labels.png"]
        assert plan.notes == ["left out 2 pictures: the .semc file of the same name is read"] and not plan.unusable
        assert sources("t/a.semc", "t/a.png", suffixes=both) == ["t/a.semc", "t/a.png"]  # as the user named them

    @pytest.mark.parametrize("quiet", [True, False])
    def test_quiet_leaves_out_what_was_left_out(self, folder: Path, stand_in: Any, capsys: Any, quiet: bool) -> None:
        Image.open("t/a.png").save("t/marked.png")
        Path("t/marked.png").write_bytes(mark(Path("t/marked.png").read_bytes(), "overlay"))
        assert main(["encode", "t", *["--quiet"] * quiet]) == 0
        assert ("left out 1 picture that semcomp wrote" in capsys.readouterr().err) == (not quiet)

    def test_a_result_that_exists_is_known_before_the_work(
        self, folder: Path, stand_in: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert main(["encode", "t/a.png"]) == 0
        monkeypatch.setattr(stand_in, "encode", lambda *given, **options: pytest.fail("the work was done in vain"))
        assert main(["encode", "t/a.png"]) == 1


class TestTargets:
    @pytest.mark.parametrize("way", ["t", "t/deep/../", "linked"])
    def test_no_result_replaces_an_input(self, folder: Path, way: str) -> None:
        (folder / "linked").symlink_to("t", target_is_directory=True)
        Image.new("RGB", (8, 8)).save("t/a.jpg")
        Path("t/z.jpg").symlink_to("deep/b.jpg")
        Image.new("RGB", (8, 8)).save("t/z.png")
        plan = plan_jobs([way], output="t", read_suffixes=IMAGE_SUFFIXES, write_suffix=".jpg")
        assert not plan.jobs
        reasons = {Path(entry.source).name: entry.reason for entry in plan.unusable}
        assert "overwritten by its own result" in reasons["a.jpg"] and "overwr" in reasons["b.jpg"]
        assert f"overwrite {Path(way)}/a.jpg, which is an input too" in reasons["a.png"]
        assert "which is an input too" in reasons["z.png"]

    @pytest.mark.parametrize(
        "arguments",
        [
            ["encode", "t/a.png", "-o", "x.png"],
            ["encode", "t/a.png", "-o", "x.JPEG"],
            ["decode", "a.semc", "-o", "x.png", "--format", "jpg"],
            ["segment", "a.semc", "-o", "x.jpg"],
            ["restore", "t/deep/b.jpg", "-o", "x.png", "--format", "jpg"],
            ["encode", "t/a.png", "-o", "x.png", "--as", "jpeg", "--psnr", "30"],
            ["compare", "t/a.png", "-o", "x.png"],
        ],
    )
    def test_a_suffix_of_another_format_is_refused(
        self, folder: Path, stand_in: Any, arguments: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        (folder / "a.semc").write_bytes(MAGIC)
        assert main(arguments) == 2
        assert f"-o {arguments[3]} says .{arguments[3][2:]}, and the result is a ." in capsys.readouterr().err
        assert not Path(arguments[3]).exists()

    def test_compare_keeps_its_input(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        Path("page").write_bytes(Path("t/a.png").read_bytes())
        assert main(["compare", "page", "-o", "./page", "--force"]) == 2
        assert "is an input" in capsys.readouterr().err

    def test_compare_takes_urls(self, folder: Path, stand_in: Any) -> None:
        file = (folder / "t/a.png").resolve().as_uri()
        assert main(["compare", file]) == 0 and Path("t/a.compare.html").is_file()
        assert main(["compare", "t/a.png", "-o", (folder / "b.html").resolve().as_uri()]) == 0
        assert Path("b.html").is_file() and not Path("file:").exists()
        assert main(["compare", "https://example.org/a.png"]) == 2, "nothing can be written there"

    @pytest.mark.parametrize("output", ["s3://bucket/out", "-"])
    def test_what_is_written_to_this_machine_alone(self, folder: Path, output: str, capsys: Any) -> None:
        before = set(Path().iterdir())
        for command in (["eval", "t"], ["index", "t"], ["export", "onnx"]):
            assert main([*command, "-o", output]) == 2
            assert f"-o {output} is " in capsys.readouterr().err
        assert set(Path().iterdir()) == before

    def test_a_name_of_255_bytes(self, folder: Path, stand_in: Any) -> None:
        name = "写" * 79 + ".png"
        Image.new("RGB", (8, 8)).save(name)
        assert main(["encode", name]) == 0
        assert (folder / ("写" * 79 + ".semc")).read_bytes().startswith(MAGIC)

    def test_a_name_that_is_too_long_blames_the_target(self, folder: Path, stand_in: Any, capsys: Any) -> None:
        assert main(["encode", "t/a.png", "-o", "x" * 256]) == 1
        assert f"semcomp encode: {'x' * 256} cannot be written: File name too long" in capsys.readouterr().err

    @pytest.mark.parametrize(("target", "reason"), [("t/a.png/x.semc", "Not a directory"), ("/proc/x.semc", "")])
    def test_a_target_that_cannot_be_written_is_blamed(
        self, folder: Path, stand_in: Any, capsys: Any, target: str, reason: str
    ) -> None:
        assert main(["encode", "t/deep/b.jpg", "-o", target]) == 1
        err = capsys.readouterr().err
        assert err.startswith(f"semcomp encode: {target} cannot be written: {reason}") and "internal" not in err

    def test_no_room(self, folder: Path, stand_in: Any, capsys: Any) -> None:
        assert main(["encode", "t/a.png", "-o", "/dev/full"]) == 1
        assert "semcomp encode: /dev/full cannot be written: No space left on device" in capsys.readouterr().err
        assert Path("/dev/full").is_char_device()

    def test_a_fifo_is_written_to_and_stays(self, folder: Path, stand_in: Any) -> None:
        os.mkfifo("pipe")
        read: list[bytes] = []
        reader = threading.Thread(target=lambda: read.append(Path("pipe").read_bytes()))
        reader.start()
        assert main(["encode", "t/a.png", "-o", "pipe"]) == 0
        reader.join()
        assert read[0].startswith(MAGIC) and Path("pipe").is_fifo()

    def test_a_device_stays(self, folder: Path, stand_in: Any) -> None:
        assert main(["encode", "t/a.png", "-o", "/dev/null"]) == 0
        assert Path("/dev/null").is_char_device()

    def test_a_link_stays_and_its_file_is_replaced(self, folder: Path, stand_in: Any) -> None:
        (folder / "store").mkdir()
        (folder / "store/x.semc").write_bytes(b"old")
        (folder / "x.semc").symlink_to("store/x.semc")
        assert main(["encode", "t/a.png", "-o", "x.semc"]) == 1
        assert main(["encode", "t/a.png", "-o", "x.semc", "--force"]) == 0
        assert (folder / "x.semc").is_symlink() and (folder / "store/x.semc").read_bytes().startswith(MAGIC)

    def test_temporaries_of_this_run_are_removed(self, tmp_path: Path) -> None:
        ours, other = temporary_beside(tmp_path / "x.semc"), tmp_path / ".semcomp-000000000000-0.tmp"
        ours.write_bytes(b"")
        other.write_bytes(b"")
        remove_temporaries([tmp_path, tmp_path / "missing"])
        assert not ours.exists() and other.exists()

    def test_no_temporary_is_left_by_a_write(self, tmp_path: Path) -> None:
        write_target(str(tmp_path / "new/x"), b"data", force=False)
        assert [path.name for path in (tmp_path / "new").iterdir()] == ["x"]


class TestPipes:
    def test_a_fifo_as_input_goes_to_stdout_or_to_o(self, folder: Path, stand_in: Any) -> None:
        os.mkfifo("pipe")
        plan = plan_jobs(["pipe"], output=None, read_suffixes=IMAGE_SUFFIXES, write_suffix=".semc")
        assert plan.jobs == [Job("pipe", "-")]
        data = Path("t/a.png").read_bytes()
        writer = threading.Thread(target=lambda: Path("pipe").write_bytes(data))
        writer.start()
        assert main(["encode", "pipe", "-o", "x.semc"]) == 0
        writer.join()
        assert Path("x.semc").read_bytes().startswith(MAGIC) and Path("pipe").is_fifo()

    def test_what_cannot_be_said_of_pipes(self, folder: Path, stand_in: Any, capsys: Any) -> None:
        os.mkfifo("pipe")
        assert main(["encode", "pipe", "t/a.png"]) == 2
        assert "a pipe has no folder" in capsys.readouterr().err
        assert main(["eval", "pipe"]) == 2
        assert "a pipe can be read once" in capsys.readouterr().err
