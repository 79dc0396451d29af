"""Run the limiter in virtual time and print its figures: less than a minute on any machine.

    python -m bench.limiter

Writes `bench/results/limiter.json` and the table of `docs/limiter.md`.
"""

from __future__ import annotations

import itertools
import json
import statistics
import time
from collections.abc import Callable, Iterable
from random import Random
from typing import Any

from activities.connection_limiter import Answer
from bench.facts import commit, machine
from bench.limiter_model import Bucket, Vendor, Window, run
from bench.processes import ROOT

RESULTS = ROOT / "bench" / "results" / "limiter.json"
PAGE = ROOT / "docs" / "limiter.md"
BEGIN, END = "<!-- made by make bench-limiter -->\n", "<!-- end -->\n"

Row = dict[str, Any]
# What each table shows, and headings for columns whose keys don't explain themselves.
SAYS = {
    "unknown limit": "1,200 requests at once, where 20 a second are accepted. The ideal is 60 s.",
    "chance refusals": "2 % refused and 5 % failed, by chance; how much longer events take than "
    "without a limiter.",
    "own rate": "3,000 requests at once, at a rate of 1/s that was set. The ideal is 3,000 s.",
    "one account": "600 requests at once for two connections to an account that accepts 2/s. The "
    "ideal is 300 s.",
    "only failures": "An hour in which everything fails, and how long after its end the first "
    "request was accepted and the last event delivered.",
    "always failing": "Some events always fail; how long others take, from arrival to end.",
    "newcomers": "50 events come in, one a second, where 600 wait for a vendor that accepts 20 "
    "requests a second; how long they take, from arrival to end.",
}
HEADS = {
    "of_ideal": "time, × the ideal",
    "p50": "p50, × without",
    "p95": "p95, × without",
    "requests_by_quarter": "requests by quarter hour",
    "resumed_after": "first accepted after",
    "drained_after": "all delivered after",
    "tries_a_request": "tries for each request",
}
HOUR = 3_600.0
SEEDS = (1, 2, 3)
# An unknown limit of 20 a second, in the forms that vendors give it.
LIMITS: dict[str, Callable[[], Callable[[float], bool]]] = {
    "bucket of 20": lambda: Bucket(20, 20),
    "20 in each second": lambda: Window(20, 1),
    "60 in each 3 s": lambda: Window(60, 3),
}


def unknown_limits() -> Iterable[Row]:
    """1,200 calls at once (600 events of two)."""
    for limit, latency, workers in itertools.product(LIMITS, (0.005, 0.05, 0.2), (1, 2, 4)):
        ran = [
            run([0.0] * 600, Vendor(latency, LIMITS[limit]()), workers=workers, seed=seed)
            for seed in SEEDS
        ]
        yield {
            "row": "unknown limit",
            "case": _case(limit, latency, workers),
            "of_ideal": statistics.median(one.last / 60 for one in ran),
            "refused": statistics.median(one.refused for one in ran),
            "tries_a_request": statistics.median(one.tries / len(one.requests) for one in ran),
        }


def faults() -> Iterable[Row]:
    """2 % refused by chance, 5 % answered with 503, beside the same without the limiter."""
    for latency, workers in itertools.product((0.005, 0.05, 0.2), (1, 2)):
        found = []
        for seed in SEEDS:
            chance = Random(seed)
            arrivals = list(itertools.accumulate(chance.expovariate(20) for _ in range(1_000)))
            limited, free = (
                run(
                    arrivals,
                    Vendor(latency, refuses=0.02, fails=0.05),
                    workers=workers,
                    limited=limited,
                    seed=seed,
                )
                for limited in (True, False)
            )
            found.append([one / two for one, two in zip(_took(limited), _took(free), strict=True)])
        p50, p95 = (statistics.median(values) for values in zip(*found, strict=True))
        case = _case("20 events/s", latency, workers)
        yield {"row": "chance refusals", "case": case, "p50": p50, "p95": p95}


def own_rates() -> Iterable[Row]:
    """3,000 requests at once, 1 a second."""
    for workers, calls in itertools.product((1, 2, 4), (1, 2)):
        ran = run([0.0] * (3_000 // calls), Vendor(), workers=workers, per_second=1, calls=calls)
        yield {
            "row": "own rate",
            "case": _case(f"1/s, {calls} a delivery", 0.05, workers),
            "of_ideal": ran.last / 3_000,
            "most_in_3_s": ran.most_within(3),
            "tries_a_request": ran.tries / len(ran.requests),
        }


def one_account() -> Iterable[Row]:
    """600 requests at once, by one limiter or by one for each of two connections, 2 a second."""
    for connections, workers in itertools.product((1, 2), (1, 2)):
        ran = run(
            [0.0] * 600,
            Vendor(accepts=Window(2, 1)),
            workers=workers,
            per_second=2,
            calls=1,
            connections=connections,
        )
        yield {
            "row": "one account",
            "case": _case("one limiter" if connections == 1 else "two limiters", 0.05, workers),
            "of_ideal": ran.last / 300,
            "refused": ran.refused,
            "most_in_3_s": ran.most_within(3),
        }


def outages() -> Iterable[Row]:
    """Nothing but failures for an hour."""
    for count, workers in itertools.product((10, 100, 5_000), (1, 2)):
        arrivals = [number * 0.01 for number in range(count)]
        ran = run(arrivals, Vendor(down_until=HOUR), workers=workers)
        failed = [at for at, said in ran.requests if said is Answer.FAILED]
        yield {
            "row": "only failures",
            "case": _case(f"{count:,} events", 0.05, workers),
            "requests_by_quarter": [
                sum(quarter * 900 <= at < (quarter + 1) * 900 for at in failed)
                for quarter in range(4)
            ],
            "resumed_after": min(at for at, said in ran.requests if said is Answer.ACCEPTED) - HOUR,
            "drained_after": ran.last - HOUR,
            "tries": ran.tries,
        }


def poison() -> Iterable[Row]:
    """Some events are always answered with a failure, all others are accepted."""
    for count, gap, workers in itertools.product((1, 30), (1, 30), (1, 2)):
        arrivals = [0.0] * count + [10.0 + gap * number for number in range(100)]
        ran = run(
            arrivals, Vendor(poison=frozenset(range(count))), workers=workers, until=10 * HOUR
        )
        took = sorted(end - arrived for arrived, end in ran.ended[count:])
        case = _case(f"{count} of {count + 100}, another every {gap} s", 0.05, workers)
        yield {
            "row": "always failing",
            "case": case,
            "others_p50": statistics.median(took),
            "others_longest": took[-1],
        }


def waits() -> Iterable[Row]:
    """1,200 calls wait where 20 a second are accepted, and one event a second comes in later."""
    arrivals = [0.0] * 600 + [5.0 + number for number in range(50)]
    for workers in (1, 2):
        ran = run(arrivals, Vendor(accepts=Bucket(20, 20)), workers=workers)
        took = [end - arrived for arrived, end in ran.ended]
        yield {
            "row": "newcomers",
            "case": _case("50 behind 600", 0.05, workers),
            "newcomers_p50": statistics.median(took[600:]),
            "waiting_p50": statistics.median(took[:600]),
            "longest": max(took),
        }


def _took(ran: Any) -> tuple[float, float]:
    return ran.took(0.5), ran.took(0.95)


def _case(what: str, latency: float, workers: int) -> str:
    return f"{what}, {latency * 1000:.0f} ms, {workers} worker{'s' if workers > 1 else ''}"


def main() -> None:
    began = time.monotonic()
    rows: list[Row] = []
    for made in (unknown_limits, faults, own_rates, one_account, outages, poison, waits):
        for row in made():
            rows.append(row)
            print(_line(row), flush=True)
    report = {
        "machine": machine(),
        "commit": commit(),
        "made_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(time.monotonic() - began, 1),
        "rows": [{key: _rounded(value) for key, value in row.items()} for row in rows],
    }
    RESULTS.write_text(json.dumps(report, indent=1) + "\n")
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(before + BEGIN + _tables(report) + END + rest.partition(END)[2])


def _rounded(value: Any) -> Any:
    return round(value, 3) if isinstance(value, float) else value


def _line(row: Row) -> str:
    return "| " + " | ".join(_cell(key, value) for key, value in row.items()) + " |"


def _cell(key: str, value: Any) -> str:
    if key == "refused":
        return f"{100 * value:.1f} %"
    if key in ("resumed_after", "drained_after", "newcomers_p50", "waiting_p50", "longest"):
        return f"{value:,.0f} s"
    if key in ("others_p50", "others_longest"):
        return f"{value:.2f} s"
    if isinstance(value, list):
        return ", ".join(str(one) for one in value)
    if isinstance(value, float):
        return f"{value:,.2f}"
    return value if isinstance(value, str) else f"{value:,}"


def _tables(report: dict[str, Any]) -> str:
    lines = [
        f"Model of commit `{report['commit'][:12]}`, made {report['made_at']} in "
        f"{report['seconds']} s on {report['machine']['cores']} cores "
        f"({report['machine']['cpu']}), Python {report['machine']['python']}. Virtual time: "
        "the machine changes none of the figures.",
    ]
    for name, group in itertools.groupby(report["rows"], key=lambda row: row["row"]):
        rows = [{key: value for key, value in row.items() if key != "row"} for row in group]
        heads = [HEADS.get(key, key.replace("_", " ")) for key in rows[0]]
        lines += ["", f"**{name.capitalize()}.** {SAYS[name]}", ""]
        lines += ["| " + " | ".join(heads) + " |", "| --- " * len(heads) + "|"]
        lines += [_line(row) for row in rows]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
