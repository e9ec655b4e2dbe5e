"""Text forms of thumbnails: a code as base64url without padding, and a picture as a data URI."""

import base64
import binascii
import io
import re

from PIL import Image

from semcomp.errors import FormatError

_PREFIX = "data:image/png;base64,"


def to_text(code: bytes) -> str:
    """A code as text that is safe in JSON, HTML attributes, URLs and file names.

    Example:
        >>> to_text(bytes([10, 200, 255]))
        'Csj_'
    """
    return base64.urlsafe_b64encode(code).decode().rstrip("=")


def from_text(text: str) -> bytes:
    """The code that a text holds.

    A cut text is a cut code: incomplete characters at the end are dropped. White space anywhere means nothing, so that
    a text survives the lines of a mail.

    Args:
        text: What `to_text` wrote, or the beginning of it.

    Raises:
        FormatError: The text holds other characters than base64url's.

    Example:
        >>> from_text("Csj_") == from_text(" Cs j_ ") == bytes([10, 200, 255])
        True
    """
    stripped = "".join(text.split()).rstrip("=")
    wrong = re.search(r"[^A-Za-z0-9_-]", stripped)
    if wrong:
        place = [number for number, sign in enumerate(text, 1) if not sign.isspace()][wrong.start()]
        raise FormatError(
            f"the thumbnail's text holds {wrong.group()!r} at character {place}: "
            "only A-Z, a-z, 0-9, - and _ belong there; copy the text again"
        )
    whole = stripped[: len(stripped) - (len(stripped) % 4 == 1)]
    try:
        return base64.urlsafe_b64decode(whole + "=" * (-len(whole) % 4))
    except binascii.Error as error:
        raise FormatError(f"the thumbnail's text cannot be read ({error}); copy the text again") from None


def data_uri(image: Image.Image) -> str:
    """A picture as `data:image/png;base64,...`, which a browser shows without a request."""
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return _PREFIX + base64.b64encode(stream.getvalue()).decode()
