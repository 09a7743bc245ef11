"""A trace context is the same for whoever knows the event, and nonsense is none."""

from __future__ import annotations

import pytest

from schemas.headers import TraceContext, is_trace_id, read_traceparent, trace_context

TRACE = "0123456789abcdef0123456789abcdef"


def test_the_trace_of_an_event_is_its_own_else_that_of_its_correlation() -> None:
    assert trace_context("e", "run", TRACE).trace_id == TRACE
    assert trace_context("e", "run", None).trace_id == trace_context("f", "run", None).trace_id
    assert (
        trace_context("e", "run", "no trace").trace_id == trace_context("e", "run", None).trace_id
    )
    assert trace_context("e", None, None).trace_id != trace_context("f", None, None).trace_id


def test_the_span_is_the_event() -> None:
    assert trace_context("e", "a", None).span_id == trace_context("e", "b", TRACE).span_id
    assert trace_context("e", "a", None).span_id != trace_context("f", "a", None).span_id


def test_a_header_gives_its_trace_and_span() -> None:
    header = f"00-{TRACE}-00f067aa0ba902b7-01".encode()
    assert read_traceparent(header) == TraceContext(TRACE, "00f067aa0ba902b7")
    assert read_traceparent(b"cc" + header[2:] + b"-more") is not None


@pytest.mark.parametrize(
    "header",
    [
        None,
        b"",
        b"00",
        b"\xff\xfe",
        f"00-{'0' * 32}-00f067aa0ba902b7-01".encode(),
        f"00-{TRACE}-{'0' * 16}-01".encode(),
        f"00-{TRACE.upper()}-00f067aa0ba902b7-01".encode(),
    ],
)
def test_what_is_no_trace_context_gives_none(header: bytes | None) -> None:
    assert read_traceparent(header) is None


@pytest.mark.parametrize("text", [None, "", "0" * 32, TRACE[:-1], TRACE + "0", TRACE.upper()])
def test_what_is_no_trace_id_is_told(text: str | None) -> None:
    assert not is_trace_id(text)
