"""What a destination is: data and functions, all that workflows and starters see of a vendor.

Pure: nothing here makes a request. `destinations/clients.py` makes the clients that do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import SecretStr, ValidationError

from delivery.attempt import Call
from delivery.credential import Credential
from delivery.errors import InvalidField
from delivery.event import Event
from delivery.mapping_schema import MappingSchema, same_names
from delivery.message import Message, Messages
from delivery.outcome import DELIVERY_DEADLINE, Outcome
from delivery.rule import MatchedRule, RuleMetadata
from delivery.validation import first_fault
from destinations.complaint import Complaint, Explain, error_name, read_object, unexplained

Build = Callable[[Event, MatchedRule], Messages]


@dataclass(frozen=True)
class Option:
    value: str
    label: str


@dataclass(frozen=True)
class Field:
    """A field of a connection, or of a rule's metadata.

    A `password` is a secret: stored encrypted and never shown again. `read` returns the value as it
    is stored, or raises `ValueError` with the reason and the remedy, but never the value.
    `only_with` names another field, and its values with which this field is entered. Beside the
    `options` of a select, `others` are keys of the payload, separated by commas; it is their label.
    `live` is the kind of the account's items that its value names, such as `channels`; the client
    lists them. If `listed_only`, a rule that names another item is refused when it is saved.
    """

    key: str
    label: str
    kind: Literal["text", "textarea", "password", "select"] = "text"
    required: bool = True
    help: str | None = None
    placeholder: str | None = None
    default: str | None = None
    options: tuple[Option, ...] = ()
    others: str | None = None
    read: Callable[[str], str] = str
    only_with: tuple[str, tuple[str, ...]] | None = None
    live: str | None = None
    listed_only: bool = False

    @property
    def secret(self) -> bool:
        return self.kind == "password"

    def check(self, text: str) -> str:
        """Return the value as it is stored. Raises `InvalidField`."""
        allowed = [option.value for option in self.options]
        if allowed and text not in allowed:
            raise InvalidField(self.key, f"must be one of {', '.join(allowed)}")
        try:
            value = self.read(text)
        except ValueError as err:
            raise InvalidField(self.key, str(err)) from None
        if not value.strip():
            raise InvalidField(self.key, "is blank: enter it")
        return value


@dataclass(frozen=True)
class MappingField:
    """A field that a mapping can fill. `largest` is in bytes of UTF-8."""

    key: str
    label: str
    description: str
    format: str | None = None
    largest: int | None = None


@dataclass(frozen=True)
class Action:
    """What a rule makes a destination do: calls in order, and how their messages are built.

    `deadline` is how long after the event's acceptance an attempt is made at the latest.
    `metadata` reads what a rule says about the action; `inputs` are the parts that a form asks for,
    and `options` those that it shows separately. `build` is pure, and raises `MappingError` if no
    valid message can be built.
    """

    key: str
    label: str
    noun: str
    description: str
    calls: tuple[Call, ...]
    build: Build
    deadline: timedelta = DELIVERY_DEADLINE
    metadata: type[RuleMetadata] = RuleMetadata
    inputs: tuple[Field, ...] = ()
    options: tuple[Field, ...] = ()

    def read_metadata(self, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """Read metadata as it is stored: what is read has its type, everything else is kept.

        Raises:
            InvalidField: a value can't be read.
        """
        try:
            typed = self.metadata.model_validate(dict(metadata))
        except ValidationError as err:
            raise InvalidField(*first_fault(err)) from None
        for one in self.inputs:
            if (value := metadata.get(one.key)) not in (None, "") and one.others is None:
                one.check(value)
        read = typed.model_dump(include=self.metadata.model_fields.keys() & metadata.keys())
        return {**metadata, **read}


def no_check(read: Mapping[str, str]) -> None:
    """Accept any values together that are right one by one."""


def whole_connection(message: Message) -> str:
    """Pace all messages of a connection together."""
    return ""


@dataclass(frozen=True)
class Destination:
    """Everything about a vendor, as data.

    `client` names the class that makes the requests, as `module:class`. `requests_per_second` is
    what the vendor accepts from one connection, or for each `paced_by` of its messages (a channel,
    for example), and `in_flight` how many requests it accepts at once. `account` is the key of the
    secret that stands for the vendor's account, if these limits are the account's. `builds` are the
    versions of the builder (`MatchedRule.build`) in which its messages changed; the numbers are
    shared by all destinations. `check` raises `InvalidField` if a connection's values don't agree.
    `unmapped` says what happens to payload keys that aren't mapped. If `tested_before_saving`, a
    connection is verified before it is saved, unless that is skipped. `refused` says why deliveries
    are held after the vendor has refused the credential. `explain` reads what an answer complains
    about, and `parts` are the names of its messages' parts.
    """

    type: str
    label: str
    client: str
    fields: tuple[Field, ...]
    actions: tuple[Action, ...]
    authentication: Literal["api_key", "basic", "none"] = "api_key"
    check: Callable[[Mapping[str, str]], None] = no_check
    mapping_fields: tuple[MappingField, ...] = ()
    unmapped: str | None = None
    requests_per_second: int = 100
    paced_by: Callable[[Message], str] = whole_connection
    in_flight: int | None = None
    account: str | None = None
    builds: tuple[int, ...] = (1,)
    tested_before_saving: bool = False
    refused: str = "the receiver refused the authentication"
    explain: Explain = unexplained
    parts: tuple[str, ...] = ()

    def complaint(self, body: str | None) -> Complaint:
        """Read what an answer's body complains about: as a code a name, as a field one of ours."""
        answer = read_object(body or "")
        said = self.explain(answer) if answer is not None else Complaint()
        return replace(said, code=error_name(said.code), field=self.own_field(said.field))

    def own_field(self, path: str | None) -> str | None:
        """Return the last name in a path, such as `traits.email`, that the destination declares.

        Any other may be a key of a payload, which must not be stored in clear text.
        """
        own = {*self.parts, *(field.key for field in self.mapping_fields)}
        own.update(one.key for action in self.actions for one in (*action.inputs, *action.options))
        names = reversed(re.findall(r"\w+", path or ""))
        return next((name for name in names if name in own), None)

    def action(self, key: str) -> Action | None:
        return next((action for action in self.actions if action.key == key), None)

    def read_fields(self, given: Mapping[str, str]) -> dict[str, str]:
        """Read a connection's values as they are stored. A blank one counts as absent.

        Fields that aren't entered together with the others are left out. Raises `InvalidField`.
        """
        if unknown := given.keys() - {one.key for one in self.fields}:
            keys = ", ".join(one.key for one in self.fields)
            raise InvalidField(min(unknown), f"is not a field of {self.label}; it has {keys}")
        read: dict[str, str] = {}
        for one in self.fields:
            if one.only_with is not None and read.get(one.only_with[0]) not in one.only_with[1]:
                continue
            text = given.get(one.key) or one.default or ""
            if not text and one.required and one.key not in given:
                raise InvalidField(one.key, "is missing: enter it")
            if text or one.required:
                read[one.key] = one.check(text)
        self.check(read)
        return read

    def enter(self, given: Mapping[str, str]) -> Credential:
        """Read the credential of a connection that isn't stored yet. Raises `InvalidField`."""
        read = self.read_fields(given)
        return Credential(
            {key: value for key, value in read.items() if key not in self.secret_keys},
            {key: SecretStr(value) for key, value in read.items() if key in self.secret_keys},
        )

    def account_of(self, credential: Credential) -> SecretStr | None:
        """Return what stands for the vendor's account; None if limits are the connection's."""
        secret = credential.secrets.get(self.account) if self.account else None
        return SecretStr(f"{self.type} {secret.get_secret_value()}") if secret else None

    @property
    def secret_keys(self) -> tuple[str, ...]:
        return tuple(one.key for one in self.fields if one.secret)

    @property
    def default_mapping(self) -> MappingSchema:
        """The mapping without a stored one: payload keys map to the fields of the same name."""
        return same_names(one.key for one in self.mapping_fields)


class Verdict(StrEnum):
    RIGHT = "ok"
    WRONG_KEY = "wrong_key"
    WRONG_REGION = "wrong_region"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Verification:
    """`message` is one sentence for a person; `region` is where the key is right, if anywhere."""

    verdict: Verdict
    message: str
    region: str | None = None


class Client(Protocol):
    """Makes a destination's requests. It never waits and never tries twice: its caller does."""

    async def send(self, message: Message, credential: Credential) -> Outcome:
        """Make exactly one writing request, and judge its answer; reads before it are allowed.

        Raises:
            NoReply: no status came within the time, or the connection failed.
        """
        ...

    async def verify(self, credential: Credential) -> Verification:
        """Check the credential, without writing to people's data; never raises."""
        ...


class NotListed(Exception):
    """A vendor's items can't be listed now. The message is for people, without its text."""


@runtime_checkable
class ListingClient(Client, Protocol):
    """A client of a destination with fields that are `live`."""

    async def options(self, credential: Credential, kind: str) -> tuple[Option, ...]:
        """List the account's own items of a kind, at most some thousand.

        Raises:
            NotListed: the vendor doesn't list them for this credential.
            NoReply: no status came within the time, or the connection failed.
        """
        ...


@runtime_checkable
class FieldsClient(Client, Protocol):
    """A client of a destination whose accounts have fields of their own, which a mapping can fill.

    `Destination.mapping_fields` are those that every account has.
    """

    async def fields(self, credential: Credential) -> tuple[MappingField, ...]:
        """List all fields of the account. Raises as `ListingClient.options` does."""
        ...
