"""Which files belong to which analysis, project and producer."""

from pathlib import Path

import pytest

from examples.analysis.plan import NothingToAnalyse, SourceFolderMissing, plan, projects_of, share


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (
        "a/one.py",
        "a/sub/two.py",
        "b/three.py",
        "c.py",
        "d.py",
        "site-packages/x/four.py",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x = 1\n")
    (tmp_path / "a" / "notes.txt").write_text("not source")
    return tmp_path


def test_each_top_level_package_or_module_is_an_analysis(folder: Path) -> None:
    plans = plan(folder, "run-000001")
    assert [(item.package, len(item.files)) for item in plans] == [
        ("a", 2),
        ("b", 1),
        ("c", 1),
        ("d", 1),
    ]


def test_installed_packages_are_left_out(folder: Path) -> None:
    files = [path for item in plan(folder, "run-000001") for path in item.files]
    assert not [path for path in files if "site-packages" in path.parts]


def test_analyses_are_spread_over_three_projects(folder: Path) -> None:
    assert len(projects_of(plan(folder, "run-000001"))) == 3


def test_the_same_run_gives_the_same_ids_and_another_run_gives_others(folder: Path) -> None:
    assert plan(folder, "run-000001") == plan(folder, "run-000001")
    first, second = plan(folder, "run-000001")[0], plan(folder, "run-000002")[0]
    assert first.analysis_id != second.analysis_id
    assert first.project_id != second.project_id


def test_shares_are_disjoint_and_complete(folder: Path) -> None:
    plans = plan(folder, "run-000001")
    shares = [share(plans, index, 2) for index in range(2)]
    assert sorted(item.package for part in shares for item in part) == ["a", "b", "c", "d"]


def test_a_folder_that_does_not_exist_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SourceFolderMissing, match="nowhere"):
        plan(tmp_path / "nowhere", "run-000001")


def test_a_folder_without_source_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NothingToAnalyse):
        plan(tmp_path, "run-000001")


def test_shares_are_balanced_by_size(folder: Path) -> None:
    (folder / "c.py").write_text("x = 1\n" * 100)
    plans = plan(folder, "run-000001")
    assert [item.package for item in share(plans, 0, 2)] == ["c"]
    assert [item.package for item in share(plans, 1, 2)] == ["a", "b", "d"]
