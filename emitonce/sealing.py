"""What an emitter encrypts with: keys handed in, or those of its environment."""

from __future__ import annotations

import os
from collections.abc import Mapping

from temporalio.converter import DataConverter

from emitonce.codec import EncryptionCodec
from emitonce.converter import ContextConverter, PydanticConverter
from emitonce.errors import InvalidSetup
from emitonce.key_ring import KeyRing, parse_keys

SETTING = "EMITONCE_PAYLOAD_KEYS"


def payload_ring(keys: Mapping[str, bytes] | None) -> KeyRing:
    """A ring of `keys`, or of `EMITONCE_PAYLOAD_KEYS`; an empty one where neither is there.

    Raises:
        InvalidSetup: a key is malformed; no part of it is shown.
    """
    try:
        if keys is None:
            text = os.environ.get(SETTING)
            keys = parse_keys(SETTING, text) if text else {}
        return KeyRing(keys)
    except ValueError as err:
        raise InvalidSetup(str(err)) from None


def sealing_converter(ring: KeyRing) -> DataConverter:
    return ContextConverter(
        payload_converter_class=PydanticConverter, payload_codec=EncryptionCodec(ring)
    )
