"""What quotas cost on the way of an emit: the figure of docs/security.md.

    python -m bench.quotas [--keys 1000] [--rounds 7]

Counts one event, and a batch of 100, with as many keys as `--keys`, each in a workspace of its own,
over the embedded PostgreSQL while it is shared with another process. Prints each figure, the median
over rounds; writes `bench/results/quotas.json`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
import uuid
from pathlib import Path

from temporalio.common import MetricMeter

from catalog import Catalog
from catalog.encryption.cipher import CredentialCipher
from destinations import registry
from emitonce.ids import Hashes
from process import migrate_database
from starter.api.auth import Caller
from starter.api.quotas import QuotaCheck, Quotas
from starter.api.token_buckets import TokenBuckets
from starter.dev.postgres import EmbeddedPostgres

RESULTS = Path(__file__).parent / "results" / "quotas.json"
MANY = Quotas(*[10**12] * 4)


async def main(keys: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="emitonce-bench-") as folder:
        postgres = await EmbeddedPostgres.start(Path(folder) / "postgres", durable=False)
        try:
            await migrate_database(postgres.dsn)
            cipher = CredentialCipher({"k1": bytes(range(32))})
            catalog = await Catalog.open(postgres.dsn, cipher, Hashes(bytes(32)), registry)
            try:
                figures = await measured(catalog, keys, rounds)
            finally:
                await catalog.close()
        finally:
            await postgres.stop()
    RESULTS.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


async def measured(catalog: Catalog, keys: int, rounds: int) -> dict[str, float]:
    """Microseconds a request, by its kind."""
    organization = (await catalog.organizations.default()).id
    callers = []
    for number in range(keys):
        made = await catalog.workspaces.create(organization, name=f"Workspace {number}")
        callers.append(Caller(str(uuid.uuid4()), organization, made.id))
    figures: dict[str, list[float]] = {"one": [], "batch_of_100": []}
    async with (
        TokenBuckets(catalog.quotas).shared() as buckets,
        TokenBuckets(catalog.quotas).shared(),
    ):
        check = QuotaCheck(buckets, MANY, catalog.api_key_lookup, MetricMeter.noop)
        await once(check, callers, 1)
        for _ in range(rounds):
            figures["one"].append(await once(check, callers, 1))
            figures["batch_of_100"].append(await once(check, callers, 100))
    return {
        "keys": keys,
        **{name: round(statistics.median(found), 1) for name, found in figures.items()},
    }


async def once(check: QuotaCheck, callers: list[Caller], events: int) -> float:
    started = time.perf_counter()
    for caller in callers:
        check.admit(caller, 600)
        await check.count(caller, [caller.workspace or ""] * events, 600)
        check.headers(caller)
        await asyncio.sleep(0)  # reports go on meanwhile and count as well
    return (time.perf_counter() - started) / len(callers) * 1e6


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    asyncio.run(main(given.keys, given.rounds))
