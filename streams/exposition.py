"""From samples to the text that Prometheus reads. The one door to `prometheus_client`.

The library renders and nothing else: its counters take a lock for each increment, ours are plain
numbers of one thread.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family

from streams.histogram import INFINITE, Histogram
from streams.metrics import Kind, Metric, Sample

_PROCESS: Final = ProcessCollector(registry=None)
"""CPU time, memory and open files of this process."""


class Page(NamedTuple):
    """What is answered."""

    content: bytes
    content_type: str


def rendered(samples: Iterable[Sample], accept: str = "") -> Page:
    """The page for a client that accepts these formats."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Samples(samples))
    try:
        encode, content_type = choose_encoder(accept)
        return Page(encode(registry), content_type)
    except TypeError:
        # The library compares versions as numbers; a client may have sent words.
        encode, content_type = choose_encoder("")
        return Page(encode(registry), content_type)


class _Samples:
    """A collector of samples that were taken already."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._by_metric: dict[Metric, list[Sample]] = {}
        for sample in samples:
            self._by_metric.setdefault(sample.metric, []).append(sample)

    def collect(self) -> Iterator[Family]:
        for metric, samples in self._by_metric.items():
            yield _family(metric, samples)
        yield from _PROCESS.collect()


def _family(metric: Metric, samples: Iterable[Sample]) -> Family:
    if metric.kind is Kind.HISTOGRAM:
        spread = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        for sample in samples:
            assert isinstance(sample.value, Histogram), f"{metric.name} is a histogram"
            buckets = [(_bound(le), count) for le, count in sample.value.cumulative()]
            spread.add_metric(sample.labels, buckets, sample.value.sum)
        return spread
    kind = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
    family = kind(metric.name, metric.help, labels=metric.labels)
    for sample in samples:
        assert not isinstance(sample.value, Histogram), f"{metric.name} is no histogram"
        family.add_metric(sample.labels, sample.value)
    return family


def _bound(value: float) -> str:
    return "+Inf" if value == INFINITE else str(float(value))
