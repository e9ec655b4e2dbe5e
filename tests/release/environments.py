"""The wheels as users get them: python -m tests.release.environments dist/ --work build/release

    edge                   semcomp-edge in an empty environment
    edge, upgraded         over an older version of itself
    semcomp                semcomp, which brings semcomp-edge
    semcomp, uninstalled   the client that is left
    edge, then semcomp     semcomp on top of that client
    nothing                after both are uninstalled: no file is left

In each environment the command encodes, decodes and classifies examples/photo.png and tests itself, and the integers of
every file that was written before are read and compared. The environment with torch is made once, and is used by every
case that needs it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.release.contents import names_of
from tests.release.owners import EDGE, FULL, ROOT

PHOTO = ROOT / "examples" / "photo.png"
OLD = "0.0.1"
OLD_MODULE = "semcomp/module_of_an_old_version.py"
HEAD = "imagenette"
LEAST_PSNR_DB = 28.0
"""Lowest quality of the decoded photo. It finds a decoder that is broken."""
LARGEST_DIFFERENCE = 2
"""Largest difference of decoded samples between two environments, in levels of 255, as in tools.conformance."""
PROBE = Path(__file__).with_name("probe.py")


class Failure(Exception):
    """An environment does not do what it should."""


@dataclass(kw_only=True)
class Check:
    """The run over all environments."""

    work: Path
    edge: Path
    full: Path
    seconds: dict[str, float] = field(default_factory=dict)
    """How long each installation took."""
    sums: dict[str, str] = field(default_factory=dict)
    """SHA-256 of the integers of each file, as its first reader saw them."""
    told: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What the probe said in each case."""

    def environment(self, name: str, *packages: str) -> Path:
        """Make an environment, or take the one that is there with the same packages. Returns its interpreter."""
        python = self.work / name / "bin" / "python"
        stamp, wanted = self.work / name / "packages.txt", "\n".join(packages)
        if packages and stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
            run(python, "-m", "pip", "uninstall", "--quiet", "--yes", EDGE, FULL)
            return python
        shutil.rmtree(self.work / name, ignore_errors=True)
        run(sys.executable, "-m", "venv", self.work / name)
        if packages:
            install(python, *packages)
            stamp.write_text(wanted, encoding="utf-8")
        return python

    def installed(self, what: str, python: Path, *arguments: object) -> None:
        """Install wheels, and note the time."""
        start = time.perf_counter()
        install(python, *arguments)
        self.seconds[what] = round(time.perf_counter() - start, 1)

    def holds(self, case: str, python: Path, *, torch: bool) -> None:
        """Encode, decode and read in an environment; Failure where anything differs."""
        own, again, first = (self.work / f"{name}.semc" for name in (len(self.told), "again", 0))
        semcomp = python.with_name("semcomp")
        run(semcomp, "encode", PHOTO, "-o", own, "--force")
        for source, target in ((own, own), (first, again)):
            run(semcomp, "decode", source, "-o", target.with_suffix(".png"), "--force")
        run(semcomp, "classify", own, "--head", HEAD)
        run(semcomp, "doctor")
        files = sorted(self.work.glob("*.semc"))
        told = json.loads(
            run(python, PROBE, PHOTO, *(path.with_suffix(".png") for path in (own, first, again)), *files)
        )
        self.told[case] = told
        if not Path(told["package"]).is_relative_to(self.work):
            raise Failure(f"{case}: semcomp was imported from {told['package']}")
        if told["library"] != torch:
            raise Failure(f"{case}: the codec is {told['codec']}")
        if told["psnr_db"] < LEAST_PSNR_DB:
            raise Failure(f"{case}: the photo decodes at {told['psnr_db']} dB")
        if told["difference"] > LARGEST_DIFFERENCE:
            raise Failure(f"{case}: the first file decodes with samples that differ by {told['difference']}")
        for name, value in told["symbols"].items():
            if self.sums.setdefault(name, value) != value:
                raise Failure(f"{case}: {name} has other integers than its first reader saw")
        print(f"ok      {case:<24}{len(files)} files, {told['psnr_db']} dB, {told['codec']}", flush=True)

    def left(self, case: str, python: Path, expected: set[str]) -> None:
        """Failure where other files than these are in the packages of an environment."""
        site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
        found = {
            path.relative_to(site).as_posix()
            for package in ("semcomp", "heads")
            for path in (site / package).rglob("*")
            if path.is_file() and path.suffix != ".pyc"
        }
        if found != expected:
            raise Failure(f"{case}: {sorted(found ^ expected)[:5]} should not be there, or are missing")
        print(f"ok      {case:<24}{len(found)} files are left", flush=True)


def run(*command: object) -> str:
    """Run a program outside the checkout, without what its caller's Python was told. Returns its output."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(part) for part in command], cwd=command_folder(), env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise Failure(f"{' '.join(map(str, command))} ended with {done.returncode}: {done.stderr or done.stdout}")
    return done.stdout


def command_folder() -> Path:
    """A folder in which no package of the checkout can be imported."""
    return PROBE.parent


def install(python: Path, *arguments: object) -> None:
    """Install with the exact versions of constraints.txt."""
    quiet = ("--disable-pip-version-check", "install", "--quiet", "-c", ROOT / "constraints.txt")
    run(python, "-m", "pip", *quiet, *arguments)


def package_files(wheel: Path) -> set[str]:
    """The files of a wheel below its packages."""
    return {name for name in names_of(wheel) if ".dist-info/" not in name}


def older(wheel: Path, folder: Path) -> Path:
    """Write a wheel of an older version, with one module more."""
    version = wheel.name.split("-")[1]
    path = folder / wheel.name.replace(f"-{version}-", f"-{OLD}-")
    info, old_info = (f"{EDGE.replace('-', '_')}-{number}.dist-info" for number in (version, OLD))
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as target:
        for name in source.namelist():
            data = source.read(name)
            if name == f"{info}/METADATA":
                data = data.replace(f"\nVersion: {version}\n".encode(), f"\nVersion: {OLD}\n".encode())
            if name == f"{info}/RECORD":
                data = data.replace(info.encode(), old_info.encode()) + f"{OLD_MODULE},,\n".encode()
            target.writestr(name.replace(info, old_info), data)
        target.writestr(OLD_MODULE, b"")
    return path


def check_edge(check: Check) -> None:
    """The client alone, and over an older version."""
    python = check.environment("edge")
    check.installed("semcomp-edge", python, check.edge)
    check.holds("edge", python, torch=False)
    check.left("edge: files", python, package_files(check.edge))
    python = check.environment("upgraded")
    install(python, older(check.edge, check.work))
    check.installed("semcomp-edge, upgraded", python, "--upgrade", check.edge)
    check.holds("edge, upgraded", python, torch=False)
    check.left("edge, upgraded: files", python, package_files(check.edge))


def check_full(check: Check, third_parties: Sequence[str]) -> None:
    """Everything, in every order. pip may take nothing but the two wheels in these steps."""
    python = check.environment("torch", *third_parties)
    ours = ("--no-index", "--find-links", check.full.parent, f"{FULL}=={check.full.name.split('-')[1]}")
    both = package_files(check.edge) | package_files(check.full)
    check.installed("semcomp", python, *ours)
    check.holds("semcomp", python, torch=True)
    check.left("semcomp: files", python, both)
    run(python, ROOT / "examples" / "demo.py", "--out", check.work / "demo")
    run(python, "-m", "pip", "uninstall", "--quiet", "--yes", FULL)
    check.holds("semcomp, uninstalled", python, torch=False)
    check.left("semcomp, uninstalled: files", python, package_files(check.edge))
    check.installed("semcomp after semcomp-edge", python, *ours)
    check.holds("edge, then semcomp", python, torch=True)
    run(python, "-m", "pip", "uninstall", "--quiet", "--yes", EDGE, FULL)
    check.left("nothing", python, set())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run every case. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.release.environments", description="Install the wheels.")
    parser.add_argument("dist", type=Path, help="the folder of the two wheels")
    parser.add_argument("--work", type=Path, default=Path("build/release"), help="default: build/release")
    parser.add_argument("--without-torch", action="store_true", help="leave out the cases that need torch")
    options = parser.parse_args(arguments)
    (edge,), (full,) = (sorted(options.dist.resolve().glob(f"semcomp{end}-*.whl")) for end in ("_edge", ""))
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    for path in (*work.glob("*.semc"), *work.glob("*.png"), *work.glob("*.whl")):
        path.unlink()
    check = Check(work=work, edge=edge, full=full)
    try:
        check_edge(check)
        if not options.without_torch:
            from tools.dist import metadata

            needed = [entry for wheel in (EDGE, FULL) for entry in metadata(wheel)["project"]["dependencies"]]
            check_full(check, sorted(entry for entry in needed if not entry.startswith(EDGE)))
    except Failure as failure:
        print(f"FAILED  {failure}", file=sys.stderr)
        return 1
    for what, seconds in check.seconds.items():
        print(f"pip install {what:<32}{seconds:>6} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
