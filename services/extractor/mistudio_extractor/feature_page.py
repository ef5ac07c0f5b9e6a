"""Page tokens of ListFeatures."""

from __future__ import annotations

import base64
import binascii
import hashlib

from mistudio.v1 import ListFeaturesRequest
from mistudio_runtime.errors import InvalidRequestError, Violation

_DIGEST = 8


def encode_page(request: ListFeaturesRequest, offset: int) -> str:
    """Returns the token that goes on at `offset` of the list that a request asks for."""
    return base64.urlsafe_b64encode(_digest(request) + offset.to_bytes(8, "big")).decode("ascii")


def decode_page(request: ListFeaturesRequest) -> int:
    """Returns where the page of a request begins.

    Raises InvalidRequestError for a token that is none, or that is of a list with another artifact, order or filter.
    """
    if not request.page_token:
        return 0
    try:
        content = base64.b64decode(request.page_token, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise _wrong() from error
    if len(content) != _DIGEST + 8 or content[:_DIGEST] != _digest(request):
        raise _wrong()
    return int.from_bytes(content[_DIGEST:], "big")


def _digest(request: ListFeaturesRequest) -> bytes:
    """Of everything but where the page begins and ends, which may change from page to page (AIP-158)."""
    asked = ListFeaturesRequest()
    asked.CopyFrom(request)
    asked.ClearField("page_token")
    asked.ClearField("page_size")
    return hashlib.sha256(asked.SerializeToString(deterministic=True)).digest()[:_DIGEST]


def _wrong() -> InvalidRequestError:
    description = "give next_page_token of the answer before, with the same order and filters"
    return InvalidRequestError([Violation("page_token", description)])
