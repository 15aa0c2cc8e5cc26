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
    It is fed slice by slice, and members are counted: each copies what its slice has behind it, and an empty one is 20 bytes.
    """
    if encoding == "identity":
        if len(body) > limits.decoded_bytes:
            raise _too_large(limits)
        return body
    most = min(limits.decoded_bytes, max(_RATIO_FROM_BYTES, limits.ratio * len(body)))
    parts: list[bytes] = []
    size = members = 0
    at, rest, is_padding = 0, b"", False  # where the next slice begins; what the last one has left
    member = _member()
    while rest or at < len(body):
        if not rest:
            rest = body[at : at + _CHUNK_BYTES]
            at += len(rest)
        if is_padding:  # between two members, and behind the last, zeros are nothing
            rest = rest.lstrip(b"\0")
            is_padding = not rest
            continue
        try:
            part = member.decompress(rest, _CHUNK_BYTES)
        except zlib.error as error:
            raise Unreadable("bad_gzip", f"byte {at - len(rest)}", f"the body is not gzip: {error}") from error
        size += len(part)
        if size > most:
            raise _too_large(limits)
        parts.append(part)
        rest = member.unconsumed_tail
        if member.eof:
            members += 1
            if members > limits.gzip_members:
                raise Unreadable("too_large", "", f"more than {limits.gzip_members} gzip members; compress it as one")
            rest, is_padding = member.unused_data, True
            member = _member()
    if body and not is_padding:
        raise Unreadable("bad_gzip", f"byte {len(body)}", "the gzip data ends too early; send it again")
    return b"".join(parts)


def _member() -> zlib._Decompress:
    return zlib.decompressobj(wbits=_GZIP_WBITS)


def _too_large(limits: Limits) -> Unreadable:
    text = f"more than {limits.decoded_bytes} bytes, or more than {limits.ratio} times the compressed size; send smaller parts"
    return Unreadable("too_large", "", text)
