"""From our numbers to what prometheus_client makes text of. Imported only where that package is installed."""

from itertools import accumulate

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from consignee.metrics.tally import Counts, Levels, Spread, Tally


def new_registry(ours: Collector) -> CollectorRegistry:
    """Return a registry with our metrics, and with what is known of the process."""
    registry = CollectorRegistry()
    registry.register(ours)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def family(tally: Tally) -> Metric:
    """Return the samples of a tally."""
    if isinstance(tally, Spread):
        return _histogram(tally)
    return _counter(tally) if isinstance(tally, Counts) else _gauge(tally)


def _counter(tally: Counts) -> Metric:
    family = CounterMetricFamily(tally.name, tally.about, labels=tally.labels)
    for values, number in list(tally.numbers.items()):
        family.add_metric(values, number)
    return family


def _gauge(tally: Levels) -> Metric:
    family = GaugeMetricFamily(tally.name, tally.about, labels=tally.labels)
    for values, number in list(tally.numbers.items()):
        family.add_metric(values, number)
    return family


def _histogram(tally: Spread) -> Metric:
    family = HistogramMetricFamily(tally.name, tally.about, labels=tally.labels)
    bounds = [*map(floatToGoString, tally.bounds), "+Inf"]
    for values, cell in list(tally.cells.items()):
        family.add_metric(values, list(zip(bounds, accumulate(cell.counts), strict=True)), cell.sum)
    return family
