"""Spans for OpenTelemetry, an extra: imported only where ``otel = true`` says so.

Where they go is what OpenTelemetry's own variables say (OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SERVICE_NAME, …), which its
SDK reads itself. Every span of a run hangs from the run's: requests are made by several tasks at once.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from comporta.errors import SettingsError
from comporta.observability.trace import Value

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span, Tracer

FLUSH_S = 2.0
"""For spans that wait at the end: a collector that does not answer must not hold up a deploy."""
UNNAMED = "unknown_service"
"""How the SDK's name for a service begins that has none."""


class RunTrace:
    """The time line of one run; implements ``trace.Trace``."""

    def __init__(self, tracer: "Tracer", attributes: Mapping[str, Value]) -> None:
        from opentelemetry.trace import set_span_in_context  # noqa: PLC0415  an extra

        self._tracer = tracer
        self._attributes = attributes
        self._root: Span = tracer.start_span("run", attributes=attributes)
        self._inside = set_span_in_context(self._root)

    @contextmanager
    def span(self, name: str, attributes: Mapping[str, Value]) -> Iterator[None]:
        """Mark what is done inside as a part of the run."""
        span = self._tracer.start_span(name, context=self._inside, attributes={**self._attributes, **attributes})
        try:
            yield
        except BaseException as error:
            _fail(span, type(error).__name__)
            raise
        finally:
            span.end()

    def end(self, attributes: Mapping[str, Value], *, error: str | None) -> None:
        """End the run's own span."""
        self._root.set_attributes(attributes)
        if error is not None:
            _fail(self._root, error)
        self._root.end()


@contextmanager
def open_tracer(version: str, *, exporter: "SpanExporter | None" = None) -> Iterator["Tracer"]:
    """Give a tracer, and send what waits at the end; by OTLP over HTTP unless another exporter is given."""
    provider = _provider(exporter)
    try:
        yield provider.get_tracer("comporta", version)
    finally:
        ending = threading.Thread(target=provider.shutdown, name="comporta-spans", daemon=True)
        ending.start()
        ending.join(FLUSH_S)


def _provider(exporter: "SpanExporter | None") -> "TracerProvider":
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415  an extra
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource  # noqa: PLC0415  as above
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415  as above
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415  as above
    except ImportError as error:
        raise SettingsError(
            f"otel is true, but OpenTelemetry cannot be imported: {error}",
            next_step="pip install 'comporta[otel]', or take otel out of comporta.toml.",
        ) from error
    resource = Resource.create()
    if str(resource.attributes.get(SERVICE_NAME, UNNAMED)).startswith(UNNAMED):
        resource = resource.merge(Resource({SERVICE_NAME: "comporta"}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
    return provider


def _fail(span: "Span", what: str) -> None:
    from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415  an extra

    span.set_status(Status(StatusCode.ERROR, what))
