"""What is written down of an application's processes."""

import os
from pathlib import Path

from infra.application import FILE, ApplicationRecord, recorded_application
from infra.stack.processes import observe


def test_a_process_that_runs_is_written_down_with_its_start(tmp_path: Path) -> None:
    ApplicationRecord(tmp_path).started("worker-1", os.getpid())
    (name,) = recorded_application(tmp_path)
    process = recorded_application(tmp_path)[name]
    observed = observe(os.getpid())
    assert observed is not None
    assert (name, process.pid, process.started) == ("worker-1", os.getpid(), observed.started)


def test_a_later_start_under_a_name_replaces_the_earlier_one(tmp_path: Path) -> None:
    application = ApplicationRecord(tmp_path)
    application.started("sink", os.getppid())
    application.started("sink", os.getpid())
    assert recorded_application(tmp_path)["sink"].pid == os.getpid()


def test_nothing_is_known_of_a_folder_without_an_application(tmp_path: Path) -> None:
    assert recorded_application(tmp_path) == {}


def test_a_file_that_cannot_be_read_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("{")
    assert recorded_application(tmp_path) == {}
