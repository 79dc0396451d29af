"""Make one request to a tenant's URL, signed at the moment it is sent."""

from __future__ import annotations

import base64
import hmac
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from urllib.parse import quote

import httpx
from pydantic import JsonValue, SecretStr

from delivery.credential import Credential
from delivery.event import HOPS
from delivery.message import Message, encode_value
from delivery.outcome import Outcome, OutcomeCode, Then
from delivery.timestamps import epoch_milliseconds
from destinations.destination import Verdict, Verification
from destinations.http.errors import AddressRefused, NoReply
from destinations.http.exchange import TOTAL_TIMEOUT_SECONDS, Http
from destinations.http.redaction import strings
from destinations.webhook import fields
from destinations.webhook.destination import judge
from destinations.webhook.signature import signed

# What a header can hold as it is; the rest is percent-encoded.
_VISIBLE = "".join(map(chr, range(33, 127))).replace("%", "")


class WebhookClient:
    """Sends messages, and tests connections. It never waits and never tries twice."""

    def __init__(
        self,
        http: Http,
        base_urls: Mapping[str, str] = {},
        *,
        total_timeout: float = TOTAL_TIMEOUT_SECONDS,
        agent: str = "emitonce",
    ) -> None:
        """Make a client. The timeout is in seconds; `agent` is the `User-Agent` of every request.

        Raises:
            ValueError: there are base URLs, but a webhook's URL belongs to its tenant.
        """
        if base_urls:
            raise ValueError("a webhook has no base URL")
        self._http = http
        self._total_timeout = total_timeout
        self._agent = agent

    async def send(self, message: Message, credential: Credential) -> Outcome:
        """Make exactly one request.

        Raises:
            NoReply: no status came within the time, or the connection failed.
        """
        return await self._send(message.body, credential)

    async def verify(self, credential: Credential) -> Verification:
        """Send a test message; never raises."""
        try:
            outcome = await self._send(_test_body(datetime.now(UTC)), credential)
        except NoReply as err:
            return Verification(Verdict.UNKNOWN, f"no answer to a test message: {err}")
        if outcome.then is Then.DONE:
            return Verification(Verdict.RIGHT, "the receiver accepted a test message")
        refused = outcome.code is OutcomeCode.AUTH_FAILED
        return Verification(
            Verdict.WRONG_KEY if refused else Verdict.UNKNOWN,
            f"a test message was answered with {outcome.message}",
        )

    async def _send(self, body: Mapping[str, JsonValue], credential: Credential) -> Outcome:
        settings, secrets = credential.settings, credential.secrets
        url = httpx.URL(settings[fields.URL])
        if url.scheme != "https" and not self._http.is_allowed(url):
            raise AddressRefused(url.host)
        raw = settings.get(fields.MODE) == "raw"
        content = encode_value(body["payload"] if raw else dict(body)).encode()
        headers = httpx.Headers(fields.headers_of(settings.get(fields.HEADERS, "")))
        headers.update(_authorization(settings, secrets))
        headers.update({"Content-Type": "application/json", "User-Agent": self._agent})
        headers[HOPS] = str(body["hops"])
        if raw:
            headers.update(_describing(body))
        headers.update(_signatures(settings, secrets, str(body["message_id"]), content))
        answer = await self._http.ask(
            settings.get(fields.METHOD, "POST"),
            url,
            headers,
            content,
            name="webhook",
            seconds=self._total_timeout,
        )
        outcome = answer.outcome(
            secrets=(*secrets.values(), *_user_and_password(settings, secrets)),
            sent=strings([body["payload"], body["resource_id"]]),
        )
        return judge(outcome)


def _authorization(settings: Mapping[str, str], secrets: Mapping[str, SecretStr]) -> dict[str, str]:
    scheme = settings.get(fields.AUTH, "none")
    if scheme == "basic":
        [both] = _user_and_password(settings, secrets)
        encoded = base64.b64encode(both.get_secret_value().encode()).decode()
        return {"Authorization": f"Basic {encoded}"}
    if scheme == "bearer":
        return {"Authorization": f"Bearer {secrets[fields.TOKEN].get_secret_value()}"}
    if scheme == "header":
        return {settings[fields.AUTH_HEADER]: secrets[fields.AUTH_VALUE].get_secret_value()}
    return {}


def _user_and_password(
    settings: Mapping[str, str], secrets: Mapping[str, SecretStr]
) -> Iterator[SecretStr]:
    """Yield user and password in the form of Basic authentication, if it is chosen."""
    if settings.get(fields.AUTH) == "basic":
        password = secrets[fields.PASSWORD].get_secret_value()
        yield SecretStr(f"{settings[fields.USERNAME]}:{password}")


def _describing(body: Mapping[str, JsonValue]) -> dict[str, str]:
    return {
        header: quote(str(value), safe=_VISIBLE)
        for name, header in fields.DESCRIBING.items()
        if (value := body[name]) is not None
    }


def _signatures(
    settings: Mapping[str, str], secrets: Mapping[str, SecretStr], id: str, content: bytes
) -> dict[str, str]:
    chosen = [secrets[key] for key in fields.SIGNING_SECRETS if key in secrets]
    headers = signed(chosen, id, datetime.now(UTC), content)
    if (secret := secrets.get(fields.HMAC_SECRET)) is not None:
        name = settings.get(fields.HMAC_HEADER, fields.DEFAULT_HMAC_HEADER)
        algorithm = settings.get(fields.HMAC_ALGORITHM, fields.DEFAULT_HMAC_ALGORITHM)
        key = secret.get_secret_value().encode()
        headers[name] = hmac.new(key, content, algorithm).hexdigest()
    return headers


def _test_body(now: datetime) -> dict[str, JsonValue]:
    id = str(uuid.uuid4())
    return {
        "uuid": id,
        "event": "emitonce.test",
        "resource": "global",
        "resource_id": None,
        "payload": {"test": True},
        "time_created": epoch_milliseconds(now),
        "workspace": None,
        "rule": None,
        "message_id": f"msg_{id}",
        "hops": 1,
    }
