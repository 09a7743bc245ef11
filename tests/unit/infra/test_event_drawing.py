"""The picture of a course says what the course says."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as Xml

from infra.event_drawing import LABELS, RIGHT, draw
from schemas.event import Event
from streams.timeline import Evidence, Stage, timeline
from tests.unit.infra.courses import BEGAN_MS, FAILED, STARTED, VALIDATE, full_course, seen

SVG = "{http://www.w3.org/2000/svg}"


def drawn(text: str) -> Xml.Element:
    return Xml.fromstring(text)


def texts(picture: Xml.Element) -> list[str]:
    return [it.text or "" for it in picture.iter(f"{SVG}text")]


def tooltips(picture: Xml.Element) -> list[str]:
    return [it.text or "" for it in picture.iter(f"{SVG}title")]


def test_the_same_course_gives_the_same_bytes() -> None:
    assert draw(full_course()) == draw(full_course())


def test_every_event_is_named_and_every_time_is_marked() -> None:
    picture = drawn(draw(full_course()))
    found = texts(picture)
    for event in (STARTED, VALIDATE, FAILED):
        assert event.type in found
    assert "emitted by analysis/begin" in found
    assert "dead letter: analysis.main/check try 3: ValueError" in found
    timed = [it for _, one in full_course().occurrences() for it in one.sightings if it.at_ms]
    marks = [it for it in picture.iter(f"{SVG}text") if it.get("class") == "mark"]
    legend = 7
    assert len(marks) == len(timed) + legend


def test_a_tooltip_says_when_and_where() -> None:
    assert "+0.009 s shown room project.p broadcast.project/0/3" in tooltips(
        drawn(draw(full_course()))
    )


def test_only_the_event_that_was_asked_for_stands_out() -> None:
    picture = drawn(draw(full_course()))
    assert len([it for it in picture.iter(f"{SVG}rect") if it.get("rx")]) == 1


def test_each_effect_hangs_on_its_cause() -> None:
    picture = drawn(draw(full_course()))
    arrows = [it for it in picture.iter(f"{SVG}path") if it.get("stroke-dasharray")]
    assert len(arrows) == 2


def test_marks_of_one_moment_lie_under_each_other() -> None:
    together = [
        seen(STARTED, Stage.PUBLISHED, "a", 5),
        seen(STARTED, Stage.ARCHIVED, "b", 5),
    ]
    picture = drawn(draw(timeline([STARTED], STARTED.id, Evidence(sightings=together))))
    first, second = list(picture.iter(f"{SVG}circle"))[:2]
    assert first.get("cx") == second.get("cx")
    assert float(first.get("cy", "0")) + 16 < float(second.get("cy", "0")) + 1


def test_a_clock_that_is_behind_stays_in_the_picture() -> None:
    early = seen(STARTED, Stage.PUBLISHED, "a", -9_000)
    picture = drawn(draw(timeline([STARTED], STARTED.id, Evidence(sightings=[early]))))
    x = float(next(picture.iter(f"{SVG}circle")).get("cx", "0"))
    assert LABELS <= x <= RIGHT
    assert early.at_ms == BEGAN_MS - 9_000


def test_names_end_where_the_time_begins_however_deep_they_are() -> None:
    chain = [STARTED]
    for number in range(30):
        cause = chain[-1]
        chain.append(
            Event(
                STARTED.envelope._replace(id=f"deep-{number}", causation_id=cause.id),
                STARTED.data,
            )
        )
    long = [seen(it, Stage.PENDING, "x" * 200, None) for it in chain]
    picture = drawn(draw(timeline(chain, STARTED.id, Evidence(sightings=long))))
    for text in picture.iter(f"{SVG}text"):
        if text.get("style"):
            assert float(text.get("x", "0")) + len(text.text or "") * 7.9 <= LABELS


def test_what_was_not_looked_through_is_said() -> None:
    course = full_course()
    assert any("not looked through" in it for it in texts(drawn(draw(course))))
    assert not any(
        "not looked through" in it for it in texts(drawn(draw(replace(course, unsearched=()))))
    )
