"""The README for a package index, which has no folder around it: links become absolute, or are taken out.

A page on an index cannot show `docs/figures/beside.png`. With an address below which the files of a release are served,
every link and picture gets it. Without one, pictures go with their captions, and links leave their words behind.
"""

import re

RELATIVE = r"(?!https?://|mailto:|#)[^)\s]+"
PICTURE = re.compile(rf"^!\[[^\]\n]*\]\({RELATIVE}\)\n(?:\n\*`[^\n]*\*\n)?\n?", re.MULTILINE)
LINK = re.compile(rf"(?<!!)\[(?P<text>[^\]\n]*)\]\({RELATIVE}\)")
TARGET = re.compile(rf"(\]\()({RELATIVE}\))")
COMMENT = re.compile(r"^<!-- [^\n]* -->\n\n?", re.MULTILINE)


def index_readme(text: str, base: str | None = None) -> str:
    """Makes the README of a checkout into one that an index can show.

    Args:
        text: The README, with links relative to the checkout.
        base: Address of the checkout's files, such as "https://example.org/semcomp/v0.2.0". None takes pictures and
            links out.

    Example:
        >>> index_readme("See [the guide](docs/guide.md).")
        'See the guide.'
        >>> index_readme("See [the guide](docs/guide.md).", "https://example.org/v1/")
        'See [the guide](https://example.org/v1/docs/guide.md).'
    """
    text = COMMENT.sub("", text)
    if base is not None:
        return TARGET.sub(lambda match: f"{match[1]}{base.rstrip('/')}/{match[2]}", text)
    return LINK.sub(lambda match: match["text"], PICTURE.sub("", text))
