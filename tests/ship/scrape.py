"""What Prometheus would read: the metrics of a process, by name and labels."""

from __future__ import annotations

import re
from dataclasses import dataclass

import httpx

_SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Sample:
    name: str
    labels: dict[str, str]
    value: float


@dataclass(frozen=True)
class Metrics:
    samples: tuple[Sample, ...]
    text: str

    def value(self, name: str, **labels: str) -> float:
        """The sum of the samples of that name that have these labels; 0 when there are none."""
        return sum(
            sample.value
            for sample in self.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def names(self) -> set[str]:
        return {sample.name for sample in self.samples}


async def scrape(address: str) -> Metrics:
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"http://{address}/metrics")
    answer.raise_for_status()
    matches = (_SAMPLE.match(line) for line in answer.text.splitlines())
    samples = tuple(
        Sample(found[1], dict(_LABEL.findall(found[2] or "")), float(found[3]))
        for found in matches
        if found
    )
    return Metrics(samples, answer.text)
