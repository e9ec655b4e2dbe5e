"""`semcomp info` names the colour space from the stored profile, whatever is in it."""

from __future__ import annotations

import struct

import pytest
from PIL import ImageCms

from semcomp.bitstream.profile_name import LONGEST_NAME, profile_name
from semcomp.imaging.color_space import ADOBE_RGB, from_codes
from semcomp.imaging.icc import SRGB, rgb_profile


def test_profiles_of_both_versions() -> None:
    p3 = from_codes(12, 13)
    assert p3 is not None
    assert profile_name(p3.profile(grey=False)) == "Display P3"
    assert profile_name(ADOBE_RGB.profile(grey=False)) == "compatible with Adobe RGB (1998)"
    built_in = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert profile_name(built_in) == "sRGB built-in"
    body = b"desc\0\0\0\0" + struct.pack(">I", 9) + b"Scanner\0\0"
    version_2 = bytes(16) + b"RGB " + bytes(108) + struct.pack(">I4sII", 1, b"desc", 144, len(body)) + body
    assert profile_name(version_2) == "Scanner"


def test_a_name_cannot_drive_a_terminal() -> None:
    assert profile_name(rgb_profile("a\x1b[2Jb\nc", primaries=SRGB, curves=[1.0])) == "a[2Jbc"
    assert len(profile_name(rgb_profile("x" * 500, primaries=SRGB, curves=[1.0]))) == LONGEST_NAME


def test_no_name() -> None:
    assert profile_name(None) == "sRGB"
    assert profile_name(rgb_profile("", primaries=SRGB, curves=[1.0])) == "unnamed profile of RGB"


@pytest.mark.parametrize("length", range(0, 500, 7))
def test_a_cut_profile_raises_nothing(length: int) -> None:
    assert profile_name((ADOBE_RGB.profile(grey=False) or b"")[:length])
