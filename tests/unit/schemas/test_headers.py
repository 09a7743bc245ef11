import re
from hashlib import sha256

from schemas.envelope import Metadata
from schemas.headers import event_headers, trace_context
from tests.unit.schemas.samples import factory, file_processed


def test_a_record_says_id_and_type_beside_its_bytes() -> None:
    event = factory().create(file_processed(), aggregate_id="x")
    headers = dict(event_headers(event))
    assert headers["ce_id"] == event.id.encode()
    assert headers["ce_type"] == b"analysis.file.processed"


def test_the_trace_of_the_metadata_is_carried_on() -> None:
    event = factory().create(
        file_processed(),
        aggregate_id="x",
        metadata=Metadata(trace_id="0af7651916cd43dd8448eb211c80319c"),
    )
    parent = dict(event_headers(event))["traceparent"].decode()
    assert re.fullmatch(r"00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01", parent)


def test_events_of_one_correlation_share_a_trace_but_no_span() -> None:
    parents = [
        dict(
            event_headers(
                factory().create(
                    file_processed(), aggregate_id="x", correlation_id="run", id=f"id-{number}"
                )
            )
        )["traceparent"].decode()
        for number in range(2)
    ]
    traces = {parent.split("-")[1] for parent in parents}
    spans = {parent.split("-")[2] for parent in parents}
    assert (len(traces), len(spans)) == (1, 2)


def test_the_trace_of_a_correlation_begins_with_the_event_that_it_is_named_after() -> None:
    context = trace_context("id-1", "id-1", None)
    assert context == trace_context("id-1", None, None) == trace_context("id-1", "", "no trace id")
    digest = sha256(b"id-1").hexdigest()
    assert context == (digest[:32], digest[:16])
    caused = trace_context("id-2", "id-1", None)
    assert caused == (context.trace_id, sha256(b"id-2").hexdigest()[:16])
