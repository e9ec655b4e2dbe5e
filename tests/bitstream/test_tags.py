"""Tags: what is written is read, what a writer must not give is refused, and so is every damaged body."""

import doctest
import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semcomp.bitstream import tags
from semcomp.bitstream.fields import pack_string, unpack_string
from semcomp.bitstream.tags import MAX_TAGS, Tag, are_areas, pack_tags, unpack_tags
from semcomp.errors import FormatError

# version 1, source "head", two tags: "cat" 1.0, "Hündchen" 0.5
GOLDEN = bytes.fromhex("01 0468656164 02 03636174 ffff 0948c3bc6e646368656e 0080")
TAGS = [Tag("cat", 1.0), Tag("Hündchen", 0.5)]

texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=50)
scores = st.floats(0, 1)


def test_golden_bytes() -> None:
    assert pack_tags(TAGS, source="head") == GOLDEN
    source, found = unpack_tags(GOLDEN)
    assert source == "head" and [tag.name for tag in found] == ["cat", "Hündchen"]
    assert found[0].score == 1 and abs(found[1].score - 0.5) < 1e-5
    assert pack_tags(found, source=source) == GOLDEN


@given(st.lists(st.tuples(texts.filter(bool), scores), max_size=20, unique_by=lambda pair: pair[0]), texts)
def test_any_tags_survive(pairs: list[tuple[str, float]], source: str) -> None:
    data = pack_tags([Tag(name, score) for name, score in pairs], source=source)
    found_source, found = unpack_tags(data)
    assert found_source == source
    assert [tag.name for tag in found] == [name for name, _ in pairs]
    assert all(abs(tag.score - score) <= 0.5 / 65535 + 1e-12 for tag, (_, score) in zip(found, pairs, strict=True))
    assert pack_tags(found, source=source) == data


def test_as_many_and_as_long_as_allowed() -> None:
    many = [Tag(f"{number:03}" + "x" * 197, number / 256) for number in range(MAX_TAGS)]
    assert len(unpack_tags(pack_tags(many, source="é" * 100))[1]) == 256
    assert unpack_tags(pack_tags([])) == ("", ())


@pytest.mark.parametrize("score", [-0.001, 1.001, float("nan"), float("inf")])
def test_a_score_is_a_share(score: float) -> None:
    with pytest.raises(ValueError, match=r"expected 0\.\.1"):
        Tag("cat", score)


@pytest.mark.parametrize(
    ("given_tags", "source", "message"),
    [
        ([Tag("a", 0.1), Tag("a", 0.2)], "", "'a' is given twice"),
        ([Tag(str(number), 0) for number in range(257)], "", "257 tags, at most 256"),
        ([Tag("x" * 201, 0)], "", "201 bytes"),
        ([], "é" * 101, "202 bytes"),
        ([Tag("a\x1b[2J", 0)], "", r"control character '\\x1b'"),
        ([], "\x85", "control character"),
        ([Tag("\ud800", 0)], "", "surrogates"),
    ],
)
def test_misuse_is_a_value_error(given_tags: list[Tag], source: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pack_tags(given_tags, source=source)


def test_a_tag_has_a_name() -> None:
    with pytest.raises(ValueError, match="no name"):
        Tag("", 0.5)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "empty"),
        ("03 00 00", "version 3 .* upgrade semcomp"),
        ("01", "number at byte 1 is cut off"),
        ("01 00", "number at byte 2 is cut off"),
        ("01 00 8000", "minimal"),
        ("01 00 8102", "claims 257 tags"),
        ("01 00 ffffffff0f", "claims 4294967295 tags"),
        ("01 c901" + "61" * 201 + "00", "claims 201 bytes"),
        ("01 ffffffff0f", "claims 4294967295 bytes"),
        ("01 0461", "string at byte 1 is cut off at byte 3"),
        ("01 01ff 00", "not UTF-8"),
        ("01 02c080 00", "not UTF-8"),  # an overlong zero
        ("01 03eda080 00", "not UTF-8"),  # half of a surrogate pair
        ("01 0107 00", "control character"),
        ("01 02c285 00", "control character"),
        ("01 00 01 00 0000", "tag 0 .* has no name"),
        ("01 00 01 0161", "cut off at byte 5, in a score"),
        ("01 00 01 0161 00", "cut off at byte 6, in a score"),
        ("01 00 02 0161 0000 0161 0100", "'a' is given twice"),
        ("01 00 01 0161 0000 00", "1 bytes follow the tags, which end at byte 7"),
    ],
)
def test_unsound_bodies_are_refused(body: str, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        unpack_tags(bytes.fromhex(body))


def test_every_truncation_and_every_appended_byte_is_refused() -> None:
    for length in range(len(GOLDEN)):
        with pytest.raises(FormatError):
            unpack_tags(GOLDEN[:length])
    with pytest.raises(FormatError):
        unpack_tags(GOLDEN + b"\0")


def test_a_mutation_is_refused_or_reads_as_tags_that_are_written_so() -> None:
    rng = random.Random(1)
    read = 0
    for _ in range(5000):
        data = bytearray(GOLDEN)
        for _ in range(rng.choice((1, 1, 3))):
            at = rng.randrange(len(data))
            data[at : at + rng.randrange(3)] = rng.randbytes(rng.randrange(3))
        try:
            source, found = unpack_tags(bytes(data))
        except FormatError:
            continue
        read += 1
        assert pack_tags(found, source=source) == data
    assert read > 0


def test_a_hostile_count_costs_nothing() -> None:
    tracemalloc.start()
    with pytest.raises(FormatError):
        unpack_tags(bytes.fromhex("01 00 8002"))  # 256 tags, none of which is there
    with pytest.raises(FormatError):
        unpack_tags(bytes.fromhex("01 c801"))  # a string of 200 bytes
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 16


@given(texts, st.integers(0, 5))
def test_strings_say_where_they_end(text: str, offset: int) -> None:
    data = bytes(offset) + pack_string(text) + b"rest"
    assert unpack_string(data, offset=offset) == (text, len(data) - 4)
    assert unpack_string(memoryview(data), offset=offset) == (text, len(data) - 4)


def test_examples_in_the_docstrings() -> None:
    assert doctest.testmod(tags).failed == 0


def test_areas_have_a_version_of_their_own() -> None:
    tags = [Tag("person", 0.25)]
    plain, areas = pack_tags(tags, source="street"), pack_tags(tags, source="street", areas=True)
    assert (plain[0], areas[0]) == (1, 2) and plain[1:] == areas[1:]
    assert unpack_tags(areas) == unpack_tags(plain) and are_areas(areas) and not are_areas(plain)
