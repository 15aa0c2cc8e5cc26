"""The bytes of a message out of their content encoding, never more of them than allowed."""

from __future__ import annotations

import zlib
from typing import Literal

from services.ingest.readers.model import LIMITS, Limits, Unreadable

_CHUNK_BYTES = 64 * 1024
_GZIP_WBITS = 31  # zlib's word for "gzip header and trailer"
_RATIO_FROM_BYTES = 64 * 1024  # a short text of blanks may well shrink a hundredfold; it harms nobody


def decode_body(body: bytes, encoding: Literal["identity", "gzip"], limits: Limits = LIMITS) -> bytes:
    """The message as it was before compression. Raises Unreadable (`too_large`, `bad_gzip`).

    Decompression goes step by step and stops at the first byte past `limits`, so that a small bomb stays small.
    """
    if encoding == "identity":
        if len(body) > limits.decoded_bytes:
            raise _too_large(limits)
        return body
    most = min(limits.decoded_bytes, max(_RATIO_FROM_BYTES, limits.ratio * len(body)))
    parts: list[bytes] = []
    size = 0
    rest = body
    while rest:  # gzip allows several members in a row
        member = zlib.decompressobj(wbits=_GZIP_WBITS)
        data = rest
        try:
            while not member.eof and data:
                part = member.decompress(data, _CHUNK_BYTES)
                size += len(part)
                if size > most:
                    raise _too_large(limits)
                parts.append(part)
                data = member.unconsumed_tail
        except zlib.error as error:
            raise Unreadable("bad_gzip", f"byte {len(body) - len(data)}", f"the body is not gzip: {error}") from error
        if not member.eof:
            raise Unreadable("bad_gzip", f"byte {len(body)}", "the gzip data ends too early; send it again")
        rest = member.unused_data.lstrip(b"\0")
    return b"".join(parts)


def _too_large(limits: Limits) -> Unreadable:
    text = f"more than {limits.decoded_bytes} bytes, or more than {limits.ratio} times the compressed size; send smaller parts"
    return Unreadable("too_large", "", text)
