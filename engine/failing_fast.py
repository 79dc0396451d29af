"""Make calls to Temporal fail at once if no connection can be made.

The SDK tries again for ten seconds, whatever the reason. But if the connection is refused, it is
certain that this call never left, and after a retry that could no longer be known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.message import Message
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode, ServiceClient

# What the SDK's transport says when a connection can't be made; a lost one is a "transport error".
_NOT_CONNECTED = ("tcp connect error", "dns error")
# What it says if it finds the connection lost while it makes a call, under a code that it also uses
# for "Timeout expired".
_FOUND_LOST = "operation was canceled"
# What the SDK retries.
_RETRIED = (
    RPCStatusCode.DATA_LOSS,
    RPCStatusCode.INTERNAL,
    RPCStatusCode.UNKNOWN,
    RPCStatusCode.RESOURCE_EXHAUSTED,
    RPCStatusCode.ABORTED,
    RPCStatusCode.OUT_OF_RANGE,
    RPCStatusCode.UNAVAILABLE,
)


class NotConnected(RPCError):
    """No connection to Temporal could be made, so the call never left this process."""


def failing_fast(client: Client) -> Client:
    """Return the same client, whose calls raise `NotConnected` if no connection can be made."""
    config = client.config()
    config["service_client"] = _FailingFast(client.service_client)
    return Client(**config)


class _FailingFast(ServiceClient):
    def __init__(self, inner: ServiceClient) -> None:
        super().__init__(inner.config)
        self._inner = inner

    @property
    def worker_service_client(self) -> Any:
        return self._inner.worker_service_client

    def update_rpc_metadata(self, metadata: Mapping[str, str | bytes]) -> None:
        self._inner.update_rpc_metadata(metadata)

    def update_api_key(self, api_key: str | None) -> None:
        self._inner.update_api_key(api_key)

    async def _rpc_call(
        self, rpc: str, req: Message, resp_type: Any, *, retry: bool, **options: Any
    ) -> Any:
        """Call without the SDK's retries first, and with them only after an error of another kind.

        A call may then arrive twice, as it may with those retries: a start has an id of its own.
        """
        try:
            return await self._inner._rpc_call(rpc, req, resp_type, retry=False, **options)
        except RPCError as err:
            if err.status is RPCStatusCode.UNAVAILABLE and err.message in _NOT_CONNECTED:
                raise NotConnected(err.message, err.status, err.raw_grpc_status) from None
            if not retry or not _is_retried(err):
                raise
        return await self._inner._rpc_call(rpc, req, resp_type, retry=True, **options)


def _is_retried(err: RPCError) -> bool:
    if err.status is RPCStatusCode.CANCELLED:
        return err.message == _FOUND_LOST
    return err.status in _RETRIED
