"""The pages hang together: every link leads somewhere, and every page is in the navigation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
LINK = re.compile(r"(?<!`)\[[^\]\n]*\]\(([^)\s]+)\)")
ANCHOR = re.compile(r'<a href="([^"]+)"')
BUILT = "page/index.html"
"""What `make docs` puts into the site beside the pages: the browser page."""
OTHERS = ("README.md", "CONTRIBUTING.md", "RELEASING.md", "SECURITY.md", "examples/README.md")


def without_code(text: str) -> str:
    """The page without fenced and indented code."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return "\n".join(line for line in text.splitlines() if not line.startswith("    "))


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as the site builds them."""
    headings = re.findall(r"^#+ (.+)$", without_code(text), re.MULTILINE)
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading.lower())).strip("-") for heading in headings}


def broken_links(path: Path, text: str) -> list[str]:
    """Links inside the repository that lead nowhere."""
    broken = []
    for link in LINK.findall(without_code(text)):
        place, _, anchor = link.partition("#")
        if "://" in link or link.startswith("mailto:"):
            continue
        target = (path.parent / place) if place else path
        if not target.exists():
            broken.append(link)
        elif anchor and target.suffix == ".md":
            page = text if target == path else target.read_text(encoding="utf-8")
            if anchor not in anchors(page):
                broken.append(link)
    depth = len(path.relative_to(DOCS).with_suffix("").parts) if path.is_relative_to(DOCS) else 0
    # The site serves guides/browser.md as guides/browser/index.html.
    return broken + [link for link in ANCHOR.findall(without_code(text)) if link != "../" * depth + BUILT]


CHECKED = [*PAGES, *(ROOT / name for name in OTHERS)]


@pytest.mark.parametrize("path", CHECKED, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(path: Path) -> None:
    assert broken_links(path, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_included_file_exists(path: Path) -> None:
    for source in re.findall(r'^--8<-- "(.+)"$', path.read_text(encoding="utf-8"), re.MULTILINE):
        assert (ROOT / source).is_file(), source


def test_every_card_is_a_page() -> None:
    for card in (ROOT / "semcomp" / "weights").glob("*.md"):
        assert (DOCS / "models" / card.name).is_file(), f"write docs/models/{card.name} and name it in mkdocs.yml"


def test_a_broken_link_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    text = "# One\n\n[a](nowhere.md) [b](#two) [c](#one) [d](https://example.org)\n\n    [e](code.md)\n"
    page.write_text(text)
    assert broken_links(page, text) == ["nowhere.md", "#two"]
    here = DOCS / "guides" / "browser.md"
    assert broken_links(here, '<a href="../../page/index.html">page</a>') == []
    assert broken_links(here, '<a href="../page/index.html">page</a>') == ["../page/index.html"]


def nav_pages(entry: object) -> list[str]:
    """Every page that the navigation names."""
    if isinstance(entry, str):
        return [entry]
    values = entry.values() if isinstance(entry, dict) else entry if isinstance(entry, list) else []
    return [page for value in values for page in nav_pages(value)]


def test_the_navigation_names_every_page_once() -> None:
    found = nav_pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"])
    assert sorted(found) == sorted(path.relative_to(DOCS).as_posix() for path in PAGES)
