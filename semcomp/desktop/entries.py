"""The texts of the files that tell a freedesktop desktop about the format."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import quoteattr

from semcomp.bitstream.container import MAGIC

MIME = "image/x-semc"
WRITTEN_BY = "Written by semcomp desktop install"
"""Is in every file that is installed. Files without it belong to somebody else."""
DELEGATES = ("<delegatemap>", "</delegatemap>")
"""Begin and end of ImageMagick's list of programs."""


def mime_package() -> str:
    """Write the package of shared-mime-info: the type, its suffix and its first bytes.

    Example:
        >>> '"*.semc"' in mime_package()
        True
    """
    magic = "".join(chr(byte) if 32 < byte < 127 else f"\\x{byte:02x}" for byte in MAGIC)
    return f"""\
<?xml version="1.0" encoding="UTF-8"?>
<!-- {WRITTEN_BY} -->
<mime-info xmlns="http://www.freedesktop.org/standards/shared-mime-info">
  <mime-type type="{MIME}">
    <comment>semcomp image</comment>
    <magic priority="80">
      <match type="string" offset="0" value="{magic}"/>
    </magic>
    <glob pattern="*.semc"/>
    <generic-icon name="image-x-generic"/>
  </mime-type>
</mime-info>
"""


def thumbnailer(program: Sequence[str]) -> str:
    """Write the entry that file managers read to make thumbnails.

    Args:
        program: The words that start `semcomp`.
    """
    command = " ".join(_quoted(word).replace("%", "%%") for word in program)
    return f"""\
# {WRITTEN_BY}
[Thumbnailer Entry]
TryExec={program[0]}
Exec={command} desktop thumbnail %i %o %s
MimeType={MIME};
"""


def with_delegate(delegates: str, program: Sequence[str]) -> str:
    """Add the program that decodes .semc files to ImageMagick's list of programs.

    Args:
        delegates: The text of delegates.xml, empty where there is none.
        program: The words that start `semcomp`.

    Returns:
        The text with one entry for semcomp.

    Raises:
        ValueError: The text has no list to add to.

    Example:
        >>> with_delegate("<delegatemap>\\n</delegatemap>", ["semcomp"]).count("<delegate ")
        1
    """
    begin, end = DELEGATES
    text = without_delegate(delegates) if delegates.strip() else f"{begin}\n{end}\n"
    before, found, after = text.rpartition(end)
    if not found:
        raise ValueError(f"it has no {end}")
    words = " ".join(f'"{word.replace("%", "%%")}"' for word in program)
    command = f'{words} decode --quiet --force --format png -o "%o" "%i"'
    entry = f'  <!-- {WRITTEN_BY} --><delegate decode="semc" command={quoteattr(command)}/>\n'
    return f"{before}{entry}{found}{after}"


def without_delegate(delegates: str) -> str:
    """Remove what `with_delegate` added. Other entries keep their bytes.

    Example:
        >>> text = "<delegatemap>\\n</delegatemap>\\n"
        >>> without_delegate(with_delegate(text, ["semcomp"])) == text
        True
    """
    return "".join(line for line in delegates.splitlines(keepends=True) if WRITTEN_BY not in line)


def _quoted(word: str) -> str:
    import shlex

    return shlex.quote(word)
