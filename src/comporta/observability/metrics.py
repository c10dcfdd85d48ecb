"""The closed list of metrics, and what keeps and shows them to Prometheus.

Counters and histograms are told by whoever does the thing (``meter``); gauges are a picture that ``cli.scrape`` takes
of the workspace and hands in. The table is also docs/reference/metrics.md, and a test compares the two.
prometheus-client is imported by ``Metrics``, so only ``comporta serve`` pays for it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prometheus_client.core import Metric as Family

CONTENT_TYPE = "text/plain; version=1.0.0; charset=utf-8; escaping=underscores"
QUICK = (0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0)
"""Seconds: from what nobody notices to what somebody will complain about."""
LONG = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0)
"""Seconds: from a run that finds nothing to a first load."""
SPACED = (60.0, 300.0, 900.0, 1_800.0, 2_400.0, 3_600.0, 7_200.0, 21_600.0, 86_400.0)
"""Seconds: the usual schedule is 1,800."""
SCOPE = ("account", "stream")


class Kind(StrEnum):
    """What Prometheus may do with a metric."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One line of the table. Every label has a bounded number of values."""

    kind: Kind
    means: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


def _gauge(means: str, *labels: str) -> Metric:
    return Metric(Kind.GAUGE, means, labels)


def _counter(means: str, *labels: str) -> Metric:
    return Metric(Kind.COUNTER, means, labels)


def _histogram(means: str, buckets: tuple[float, ...], *labels: str) -> Metric:
    return Metric(Kind.HISTOGRAM, means, labels, buckets)


METRICS = MappingProxyType(
    {
        "comporta_build_info": _gauge("1, with the version that runs.", "version", "python"),
        "comporta_snapshot_age_seconds": _gauge("How old the picture of the ledger is that the gauges show."),
        "comporta_snapshot_failures_total": _counter("Pictures that the database did not let be taken in time."),
        "comporta_freshness_seconds": _gauge(
            "How far coverage without a hole lies behind the source's clock; absent until the first load is whole.",
            *SCOPE,
        ),
        "comporta_coverage_age_seconds": _gauge("How long ago the newest covered instant was, holes or not.", *SCOPE),
        "comporta_holes": _gauge("Intervals between the origin and the end of coverage that are missing.", *SCOPE),
        "comporta_promised_interval_seconds": _gauge(
            "`every` of the stream; absent where it has a `cron` or is paused.", *SCOPE
        ),
        "comporta_quarantined_records": _gauge("Records that wait in quarantine.", *SCOPE),
        "comporta_last_run_timestamp_seconds": _gauge("When the last run ended, by the ledger.", *SCOPE),
        "comporta_lease_age_seconds": _gauge("How long a living lease has been held.", *SCOPE),
        "comporta_queued_runs": _gauge(
            "Runs that wait, and whose time has come; without those of paused accounts and of accounts that are not in"
            " the settings.",
            "priority",
        ),
        "comporta_queue_oldest_seconds": _gauge(
            "How long the one of them that waits longest has been waiting.", "priority"
        ),
        "comporta_budget_allowed_requests_per_second": _gauge(
            "The rate that the budget goes by now; absent where none is known.", "account"
        ),
        "comporta_budget_used_requests": _gauge("Requests in the last span of the budget.", "account"),
        "comporta_budget_waiting_requests": _gauge("Requests that wait for their turn.", "account"),
        "comporta_budget_paused_seconds": _gauge("How long the source still wants nobody to ask.", "account"),
        "comporta_paused_accounts": _gauge("Accounts that a person or the settings have paused."),
        "comporta_schedulers": _gauge("Servers that schedule and are alive, of all on the database."),
        "comporta_needs_login": _gauge("1 while the account's login needs a person.", "account"),
        "comporta_runs_total": _counter("Runs that ended in this process, by how.", *SCOPE, "state"),
        "comporta_run_errors_total": _counter("Runs that ended with an error, by its code.", *SCOPE, "code"),
        "comporta_run_retries_total": _counter("Runs that are tried again.", *SCOPE),
        "comporta_run_duration_seconds": _histogram("How long runs took.", LONG, *SCOPE),
        "comporta_run_interval_seconds": _histogram("From one start to the next of a stream.", SPACED, *SCOPE),
        "comporta_records_read_total": _counter("Records that were read and committed.", *SCOPE),
        "comporta_records_total": _counter("What became of them, and rows that were marked deleted.", *SCOPE, "result"),
        "comporta_requests_sent_total": _counter("Requests to the source, repetitions among them.", *SCOPE),
        "comporta_requests_retried_total": _counter("Requests that were repetitions.", *SCOPE),
        "comporta_requests_throttled_total": _counter("Requests that the source refused for their rate.", *SCOPE),
        "comporta_requests_waited_seconds_total": _counter("Time in which requests waited for their turn.", *SCOPE),
        "comporta_request_failures_total": _counter(
            "Requests that went wrong, by what they were to do.", "account", "operation"
        ),
        "comporta_lease_refusals_total": _counter("Runs that found their stream held by another, each once.", *SCOPE),
        "comporta_leases_lost_total": _counter(
            "Runs whose lease ran out or was released, counted by the server that took it.", *SCOPE
        ),
        "comporta_database_write_wait_seconds": _histogram(
            "From asking for a write until its transaction has the right to write.", QUICK
        ),
        "comporta_database_busy_total": _counter("SQLite: transactions given up, another program held the file."),
        "comporta_database_retries_total": _counter("PostgreSQL: transactions that were begun again."),
        "comporta_database_pool_wait_seconds": _histogram("PostgreSQL: waits for a connection of the pool.", QUICK),
        "comporta_database_pool_timeouts_total": _counter("PostgreSQL: waits for a connection that were in vain."),
        "comporta_http_request_duration_seconds": _histogram(
            "Answers of the server, by the route's pattern.", QUICK, "method", "route", "status"
        ),
        "comporta_log_lines_dropped_total": _counter(
            "Lines of the program's log that nobody took from standard error."
        ),
        "comporta_event_loop_lag_seconds": _histogram("How late the event loop woke a sleeper.", QUICK),
    }
)
"""Each metric of ours. Those of the process (``process_…``) come from prometheus-client, on Linux."""

Value = tuple[tuple[str, ...], float]
Picture = Mapping[str, Sequence[Value]]
"""Gauges by name: the values of their labels, in the table's order, and the figure."""


class Metrics:
    """Keeps what is counted, and shows it; implements ``meter.Meter``."""

    def __init__(self) -> None:
        import prometheus_client as prometheus  # noqa: PLC0415  a fifth of a second, for `serve` alone

        # As many series again, which nobody looks at.
        prometheus.disable_created_metrics()  # type: ignore[no-untyped-call]  # theirs has no types
        self._registry = prometheus.CollectorRegistry()
        self._told: dict[str, Any] = {}
        self._gauges = _Gauges()
        made = {Kind.COUNTER: prometheus.Counter, Kind.HISTOGRAM: prometheus.Histogram}
        for name, metric in METRICS.items():
            if metric.kind is not Kind.GAUGE:
                more = {"buckets": metric.buckets} if metric.buckets else {}
                self._told[name] = made[metric.kind](name, metric.means, metric.labels, registry=self._registry, **more)
        prometheus.ProcessCollector(registry=self._registry)
        self._registry.register(self._gauges)

    def count(self, name: str, amount: float = 1, /, **labels: str) -> None:
        """Add to a counter."""
        told = self._told[name]
        (told.labels(**labels) if labels else told).inc(amount)

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        """Add one observation to a histogram."""
        told = self._told[name]
        (told.labels(**labels) if labels else told).observe(max(0.0, value))

    def show(self, picture: Callable[[], Picture]) -> None:
        """Take the gauges from there, each time that somebody looks."""
        self._gauges.show = picture

    def text(self) -> bytes:
        """Return everything in Prometheus' text format. Takes a while for many streams: call it in a thread."""
        from prometheus_client import generate_latest  # noqa: PLC0415  as in __init__

        return generate_latest(self._registry)


class _Gauges:
    """A collector of prometheus-client: gauges whose series come and go with what they are about."""

    def __init__(self) -> None:
        self.show: Callable[[], Picture] = dict

    def collect(self) -> Iterator["Family"]:
        """Yield a family for each gauge of the table, those without a figure too."""
        from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415  as in Metrics

        picture = self.show()
        for name, metric in METRICS.items():
            if metric.kind is not Kind.GAUGE:
                continue
            family = GaugeMetricFamily(name, metric.means, labels=metric.labels)
            for labels, value in picture.get(name, ()):
                family.add_metric(labels, value)
            yield family
