"""Binary range coder whose every prefix decodes: the decoder knows which decisions the bytes at hand settle.

Probabilities are integers p of 65,536: a 1 has probability p / 65536.
"""

from semcomp.errors import SemcompError

HALF = 1 << 15
"""Probability of a bit that nothing is known about."""
_MASK = 0xFFFFFFFF
_LEAST = 1 << 24


class Exhausted(SemcompError):
    """The code ends before the next decision is settled. The walk catches it; no user sees it."""


class BitEncoder:
    """Collects the bytes of a code until `limit` of them are settled."""

    def __init__(self, limit: int):
        self._low, self._range, self._limit = 0, _MASK, limit
        self._bytes = bytearray()

    def code(self, bit: int, probability: int) -> int:
        """Append one bit and return it. Raises Exhausted as soon as the limit is reached."""
        width = self._range
        split = (width >> 16) * probability
        if bit:
            width = split
        else:
            self._low += split
            width -= split
        self._range = width
        if width < _LEAST:
            self._shift()
        return bit

    def codes(self, bits: list[int], probabilities: list[int]) -> list[int]:
        """Append bits. Fewer come back where the limit is reached on the way."""
        return _until_exhausted(self, bits, probabilities)

    def _shift(self) -> None:
        while self._range < _LEAST:
            if self._low > _MASK:
                self._carry()
            self._bytes.append(self._low >> 24)
            self._low = (self._low << 8) & _MASK
            self._range <<= 8
        # A carry can still run through trailing 255s, so a few more bytes than the limit are awaited.
        if len(self._bytes) > self._limit + 4 and self._bytes[self._limit : self._limit + 4] != b"\xff\xff\xff\xff":
            raise Exhausted("the code is complete")

    def _carry(self) -> None:
        self._low &= _MASK
        place = len(self._bytes) - 1
        while self._bytes[place] == 255:
            self._bytes[place] = 0
            place -= 1
        self._bytes[place] += 1

    def finish(self) -> bytes:
        """The first `limit` bytes of the code."""
        if self._low > _MASK:
            self._carry()
        whole = bytes(self._bytes) + self._low.to_bytes(4, "big")
        return whole[: self._limit]


class BitDecoder:
    """Reads decisions as long as every continuation of the bytes at hand gives the same one."""

    def __init__(self, data: bytes):
        self._data, self._place = data, 0
        self._code = self._slack = 0
        self._range = _MASK
        for _ in range(4):
            self._next()

    def _next(self) -> None:
        inside = self._place < len(self._data)
        self._code = (self._code << 8) | (self._data[self._place] if inside else 0)
        self._slack = (self._slack << 8) | (0 if inside else 255)
        self._place += 1

    def code(self, _: int, probability: int) -> int:
        """Return the next bit. Raises Exhausted where the bytes at hand do not settle it."""
        split = (self._range >> 16) * probability
        bit = self._code < split
        if bit != (self._code + self._slack < split):
            raise Exhausted("the code ends here")
        if bit:
            self._range = split
        else:
            self._code -= split
            self._range -= split
        while self._range < _LEAST:
            self._next()
            self._range <<= 8
        return int(bit)

    def codes(self, bits: list[int], probabilities: list[int]) -> list[int]:
        """Return the next bits. Fewer come back where the bytes at hand do not settle all of them."""
        return _until_exhausted(self, bits, probabilities)


def _until_exhausted(coder: BitEncoder | BitDecoder, bits: list[int], probabilities: list[int]) -> list[int]:
    told: list[int] = []
    try:
        for bit, probability in zip(bits, probabilities, strict=True):
            told.append(coder.code(bit, probability))
    except Exhausted:
        pass
    return told
