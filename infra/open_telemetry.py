"""Traces by OpenTelemetry: the only door to it, opened when traces are asked for.

Spans leave in the background over OTLP, by the standard variables `OTEL_*`. A collector that is away
costs spans, never an event.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from typing import TYPE_CHECKING, Final

from infra.errors import TracingNotInstalled
from infra.settings import Settings
from schemas.headers import TraceContext
from streams.tracing import Span, SpanKind, SpanPlan, Tracing

try:
    from opentelemetry import trace
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import SpanLimits, TracerProvider
    from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
except ImportError:  # the extra `tracing` is not installed: `open_tracing` says so when it is asked
    trace = None  # type: ignore[assignment]
