"""What surrounds the wheels in their environments: the older version that is upgraded, failures, and the container."""

from __future__ import annotations

import re
import sys
import zipfile
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tests.release.environments import OLD, OLD_MODULE, Check, Failure, older, package_files, run
from tests.release.owners import ROOT


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "semcomp_edge-1.2.3-py3-none-any.whl"
    info = "semcomp_edge-1.2.3.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("semcomp/__init__.py", b"")
        archive.writestr(f"{info}/METADATA", b"Name: semcomp-edge\nVersion: 1.2.3\nRequires-Dist: numpy\n")
        archive.writestr(f"{info}/RECORD", f"semcomp/__init__.py,,\n{info}/METADATA,,\n{info}/RECORD,,\n".encode())
    return path


def test_an_older_version_is_a_wheel_with_a_module_more(wheel: Path, tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    path = older(wheel, tmp_path / "old")
    assert path.name == f"semcomp_edge-{OLD}-py3-none-any.whl"
    assert package_files(path) == package_files(wheel) | {OLD_MODULE}
    with zipfile.ZipFile(path) as archive:
        info = f"semcomp_edge-{OLD}.dist-info"
        assert f"\nVersion: {OLD}\n".encode() in archive.read(f"{info}/METADATA")
        recorded = {line.split(",")[0] for line in archive.read(f"{info}/RECORD").decode().splitlines()}
        assert recorded == set(archive.namelist())


def test_a_program_that_fails_is_a_failure() -> None:
    assert run(sys.executable, "-c", "print('here')").strip() == "here"
    with pytest.raises(Failure, match="ended with 2: no luck"):
        run(sys.executable, "-c", "import sys; print('no luck', file=sys.stderr); sys.exit(2)")


def test_a_file_that_is_left_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "heads").mkdir()
    (tmp_path / "heads" / "fit.py").write_text("")
    monkeypatch.setattr("tests.release.environments.run", lambda *command: f"{tmp_path}\n")
    check = Check(work=tmp_path, edge=tmp_path, full=tmp_path)
    check.left("semcomp", Path(sys.executable), {"heads/fit.py"})
    with pytest.raises(Failure, match=r"nothing: \['heads/fit\.py'\] should not be there"):
        check.left("nothing", Path(sys.executable), set())


def test_the_container_is_built_from_what_it_may_see() -> None:
    """A pattern of .dockerignore lets through whatever the Dockerfile copies from the checkout."""
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    seen = [line.removeprefix("!") for line in ignored if line.startswith("!")]
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    sources = [source for copy in copies for source in copy.split()]
    assert "*" in ignored and sources
    assert all(any(fnmatchcase(source, pattern) for pattern in seen) for source in sources)
