"""`emitonce doctor`: check what deliveries need, and say how to fix what is wrong."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx
from temporalio.service import RPCError

from catalog.database import Pool, close_pool, connection, open_pool
from catalog.encryption.stored_secrets import StoredSecrets
from catalog.errors import CatalogError, CatalogUnavailable, SchemaMismatch
from catalog.migrate import newer, pending
from catalog.publishable_keys import keys_that_need_narrowing
from destinations.customerio.destination import VENDOR_URLS
from destinations.http.exchange import Http
from engine.connect import TemporalUnreachable, connect
from key_provider import load_secrets
from operations.finding import Finding, bad, fine, warn
from operations.namespace_checks import check_namespace
from operations.status import waiting_sentence
from process import alert_target
from settings import Secrets, Settings, SettingsError
from starter.cli.api_process import single_sign_on
from starter.cli.dependencies import cli_settings, require_temporal
from starter.cli.errors import CommandFailed, Exit
from starter.cli.output import Json, console, print_json
from starter.cli.status import open_status
from starter.console.single_sign_on import ProviderUnavailable
from starter.dev.database import database_url

REACH_SECONDS = 5.0
# Signatures and deadlines tolerate more. How vendors treat events from the future isn't published.
CLOCK_MAY_DIFFER = timedelta(seconds=5)

_MARKS = {"ok": ("ok", "green"), "warning": ("warning", "yellow"), "error": ("error", "red")}


def doctor(as_json: Json = False) -> None:
    """Check settings, keys, database, Temporal, traffic, clock, Customer.io; say what to fix.

    Nothing is changed, nothing is sent to Customer.io. Exit code 1 when something is wrong or
    deliveries are stuck; with warnings only it is 0.
    """

    async def examine() -> list[Finding]:
        found = []
        async for finding in _examine():
            found.append(finding)
            if not as_json:
                _show(finding)
        return found

    findings = asyncio.run(examine())
    wrong = [finding for finding in findings if finding.state == "error"]
    if as_json:
        print_json({"ok": not wrong, "findings": [f.model_dump() for f in findings]})
    if wrong:
        raise CommandFailed(Exit.BAD)


def _show(finding: Finding) -> None:
    word, color = _MARKS[finding.state]
    console.print(f"[{color}]{word:<8}[/{color}]", end="")
    console.print(f"{finding.matter:<18} {finding.said}", markup=False)
    if finding.remedy:
        console.print(f"{'':<27}→ {finding.remedy}", markup=False)


async def _examine() -> AsyncIterator[Finding]:
    try:
        settings = cli_settings()
        secrets = load_secrets(settings)
    except SettingsError as err:
        yield bad("settings", str(err), "set it, then run this again")
        return
    yield fine("settings", f"complete, for {settings.env}")
    yield _encryption(settings, secrets)
    vendor = VENDOR_URLS | settings.urls_by_type().get("customer_io", {})
    for findings in (
        _database(settings, secrets),
        _temporal(settings, secrets),
        _deliveries(settings),
        _sign_in(settings),
        *(_vendor(region, url) for region, url in vendor.items()),
    ):
        async for finding in findings:
            yield finding


def _encryption(settings: Settings, secrets: Secrets) -> Finding:
    if secrets.payload_keys and secrets.encrypt_payloads:
        return fine(
            "encryption", f"events are encrypted in Temporal ({len(secrets.payload_keys)} key)"
        )
    return warn(
        "encryption",
        "off: personal data can be read in Temporal's database and Web UI",
        "set EMITONCE_PAYLOAD_KEYS and leave EMITONCE_PAYLOAD_ENCRYPTION on",
    )


async def _database(settings: Settings, secrets: Secrets) -> AsyncIterator[Finding]:
    try:
        async with asyncio.timeout(REACH_SECONDS), database_url(settings) as dsn:
            pool = await open_pool(dsn)
            try:
                async for finding in _catalog(pool, secrets):
                    yield finding
            finally:
                await close_pool(pool)
    except (CatalogUnavailable, TimeoutError) as err:
        yield bad(
            "database",
            f"can't be reached: {err or 'no answer in time'}. Deliveries wait; the API accepts "
            f"events for {settings.key_grace_minutes:g} minutes, with keys that it knows",
            "start PostgreSQL, or fix EMITONCE_DATABASE_URL",
        )
    except (CatalogError, SettingsError) as err:
        yield bad("database", str(err), "fix EMITONCE_DATABASE_URL, or the database that it names")


async def _catalog(pool: Pool, secrets: Secrets) -> AsyncIterator[Finding]:
    async with connection(pool) as conn:
        now: datetime = await conn.fetchval("SELECT clock_timestamp()")
        version = conn.get_server_version().major
    yield fine("database", f"PostgreSQL {version} answers")
    yield _clock("the database's", now)
    try:
        missing = await pending(pool)
    except SchemaMismatch as err:
        yield bad("migrations", str(err), "start a release that fits the schema")
        return
    if missing:
        said = f"{len(missing)} not applied: {', '.join(missing)}"
        yield bad("migrations", said, "emitonce migrate")
        return
    if ahead := await newer(pool):
        yield warn(
            "migrations",
            f"a newer release has applied {', '.join(ahead)}; this one can run on it",
            "finish the rollout, or the rollback",
        )
    else:
        yield fine("migrations", "the schema fits this release")
    yield await _credential_keys(pool, secrets)
    yield await _publishable_keys(pool)


async def _credential_keys(pool: Pool, secrets: Secrets) -> Finding:
    stored = await StoredSecrets(pool).by_key()
    lost = ", ".join(
        f"{what} with {key_id} ({count})"
        for key_id, counts in stored.items()
        for what, count in counts.items()
        if key_id not in secrets.credential_keys
    )
    if lost:
        return bad(
            "credential keys",
            f"secrets are encrypted with keys that are not here: {lost}",
            "add the keys to EMITONCE_CREDENTIAL_KEYS; if they are lost, enter the secrets of "
            "connections and alert targets again, and create new machine keys",
        )
    counted = sum(stored.values(), Counter[str]())
    said = ", ".join(f"{what} ({count})" for what, count in sorted(counted.items()))
    return fine("credential keys", f"decrypt everything stored: {said or 'nothing yet'}")


async def _publishable_keys(pool: Pool) -> Finding:
    found = await keys_that_need_narrowing(pool)
    if not found:
        return fine("publishable keys", "each one is narrowed, or kept wide on purpose")
    named = ", ".join(f"{key} of {workspace}" for key, workspace in found[:5])
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    return warn(
        "publishable keys",
        f"anyone who has one can change any person's data at the destinations: {named}{more}",
        "emitonce keys narrow KEY --event … --identify anonymous, or --keep-wide",
    )


async def _temporal(settings: Settings, secrets: Secrets) -> AsyncIterator[Finding]:
    try:
        require_temporal(settings)
        client = await connect(timeout_seconds=REACH_SECONDS, keys=secrets.payload_ring())
        async for finding in check_namespace(client, settings.task_queue):
            yield finding
    except SettingsError as err:
        yield bad("temporal", str(err), "set TEMPORAL_ADDRESS, then run this again")
    except TemporalUnreachable as err:
        yield bad("temporal", str(err), "start the server, or fix TEMPORAL_ADDRESS")
    except RPCError as err:
        yield bad("temporal", f"refused: {err.message}", "check the namespace and its credentials")


async def _deliveries(settings: Settings) -> AsyncIterator[Finding]:
    """Look at the traffic. Other checks report parts that don't answer."""
    try:
        async with open_status() as (reader, parts):
            if parts is None:
                return
            status = await reader.read(parts.organization)
            target = await alert_target(parts.catalog, settings)()
    except (CatalogError, SettingsError):
        return
    if status.workers:
        number = f"{status.workers} {'is' if status.workers == 1 else 'are'} alive"
        yield fine("workers", f"{number} on task queue {settings.task_queue}")
    waits = waiting_sentence(status.waiting, status.lost_at, datetime.now(UTC))
    delivers = True
    for problem in status.problems:
        if problem.symptom in ("temporal", "postgresql"):
            continue
        delivers = False
        report = bad if problem.stuck else warn
        matter = "workers" if problem.symptom == "no worker" else "deliveries"
        yield report(matter, f"{problem.summary}. {waits}", problem.remedy)
    if delivers and status.waiting is not None:
        yield fine("deliveries", f"every connection in use delivers. {waits}")
    if target is None:
        yield warn(
            "alerts",
            "no alert target: nobody is notified when deliveries fail",
            "emitonce alerts set --url https://…, or the console's page Alerts",
        )
    else:
        yield fine("alerts", "are sent to the alert target")


async def _sign_in(settings: Settings) -> AsyncIterator[Finding]:
    async with Http(1) as http:
        try:
            provider = single_sign_on(settings, http)
            if provider is None:
                return
            await provider.check()
        except SettingsError as err:
            yield bad("single sign-on", str(err), "set it, then run this again")
        except ProviderUnavailable:
            yield warn(
                "single sign-on",
                f"{settings.oidc_issuer} can't be reached, or has another name in its discovery "
                "document: people can sign in with keys only",
                "allow HTTPS to it from the API's hosts; set EMITONCE_OIDC_ISSUER exactly as "
                "in the document",
            )
        else:
            yield fine("single sign-on", f"{settings.oidc_issuer} answers")


async def _vendor(region: str, url: str) -> AsyncIterator[Finding]:
    """Check that the address answers. No key is sent, and any status will do."""
    matter = f"Customer.io {region}"
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=REACH_SECONDS) as http:
            answer = await http.get(url)
    except httpx.HTTPError as err:
        yield warn(
            matter,
            f"{url} can't be reached ({type(err).__name__}): deliveries to it wait",
            "allow HTTPS to it from the workers' hosts (not needed for a region that isn't used)",
        )
        return
    yield fine(matter, f"{httpx.URL(url).host} answers")
    if date := answer.headers.get("date"):
        yield _clock(f"{matter}'s", parsedate_to_datetime(date))


def _clock(whose: str, now: datetime) -> Finding:
    apart = abs(datetime.now(UTC) - now)
    if apart > CLOCK_MAY_DIFFER:
        return warn(
            "clock",
            f"differs from {whose} by {apart.total_seconds():.0f} s",
            "synchronize this host's clock with NTP",
        )
    return fine("clock", f"agrees with {whose}")
