"""A receiver of webhooks on loopback: checks the signature, and drops what it already has."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import JsonValue
from standardwebhooks import Webhook, WebhookVerificationError

from destinations.simulator import Answer, Request, VendorSimulator, json_answer

# Opens this simulator only.
SECRET = "whsec_c2ltdWxhdGVkLXNpZ25pbmctc2VjcmV0"  # noqa: S105  # pragma: allowlist secret


@dataclass
class WebhookService:
    """`messages` are the bodies accepted, by their `webhook-id`."""

    secret: str = SECRET
    messages: dict[str, JsonValue] = field(default_factory=dict)

    def accepts(self, region: str) -> str:
        return f"signing secret {self.secret}"

    def call_of(self, request: Request) -> str:
        return "message"

    def key_of(self, request: Request) -> str | None:
        return None

    def handle(self, request: Request) -> Answer:
        headers = dict(request.headers)
        try:
            Webhook(self.secret).verify(request.content, headers)
        except WebhookVerificationError:
            return json_answer({"error": "the signature is wrong"}, status=401)
        request.stored = headers["webhook-id"] not in self.messages
        self.messages[headers["webhook-id"]] = request.parsed
        return Answer(204)

    def state(self) -> dict[str, JsonValue]:
        return {"messages": dict(self.messages)}


class WebhookSimulator(VendorSimulator[WebhookService]):
    label = "Webhook"
    calls = ("message",)

    def __init__(self) -> None:
        super().__init__(WebhookService)

    @property
    def url(self) -> str:
        """A connection's."""
        return self.base_urls[""]

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, which an operator has to allow."""
        return self._host, self._ports[""]
