"""The page of the tutorial, written and served as its reader does it, shows its photo."""

from __future__ import annotations

import json
import re
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from semcomp.codec.codec import Codec
from tests.web.test_package import needs, package
from tests.web.test_web import ROOT, built, exported_graphs, node

__all__ = ["built", "exported_graphs", "package"]

TUTORIAL = ROOT / "docs" / "tutorials" / "web-page.md"


class Quiet(SimpleHTTPRequestHandler):
    """What `python -m http.server` runs, without its log."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def test_the_page_shows_its_photo(package: Path, codec: Codec, tmp_path: Path) -> None:
    needs("chromium")
    (page,) = re.findall(r"^```html\n(.*?)^```$", TUTORIAL.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    for part in ("dist", "graphs"):
        shutil.copytree(package / part, tmp_path / "semcomp" / part)
    (tmp_path / "index.html").write_text(page, encoding="utf-8")
    (tmp_path / "photo.semc").write_bytes(codec.encode(ROOT / "examples" / "photo.png", preview=48))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    shot = ROOT / "out" / "web" / "tutorial.png"
    shot.parent.mkdir(parents=True, exist_ok=True)
    done = node(ROOT / "tests" / "web" / "tutorial.mjs", f"http://127.0.0.1:{server.server_port}/", shot)
    server.shutdown()
    server.server_close()
    assert done.returncode == 0, done.stderr[-4000:]
    seen = json.loads(done.stdout)
    assert "failure" not in seen, seen
    assert seen["problems"] == []
    assert seen["facts"] == "576 x 576 pixels at quality 50, shown as 576 x 576"
    assert seen["drawn"] == [576, 576]
