"""Which files belong to which analysis, and which analysis to which project and producer."""

import os
import sysconfig
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from schemas.errors import WundrError

PROJECTS = ("platform", "tooling", "quality")
INSTALLED = frozenset({"site-packages", "dist-packages"})


class SourceFolderMissing(WundrError):
    """The folder to analyse does not exist."""

    code = "examples.source_folder_missing"
    remedy = "Name an existing folder: wundr demo --path FOLDER"


class NothingToAnalyse(WundrError):
    """The folder to analyse holds no Python files."""

    code = "examples.nothing_to_analyse"
    remedy = "Name a folder with .py files: wundr demo --path FOLDER"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagePlan:
    """One analysis: a top-level package or module of the folder."""

    analysis_id: str
    project_id: str
    package: str
    files: tuple[Path, ...]
    size: int
    """Bytes of all its files."""


def standard_library() -> Path:
    """The source folder of the running Python."""
    return Path(sysconfig.get_path("stdlib"))


def plan(root: Path, run_id: str) -> tuple[PackagePlan, ...]:
    """Every Python file below `root`, by package.

    The same folder and run always give the same plan.

    Raises SourceFolderMissing or NothingToAnalyse.
    """
    if not root.is_dir():
        raise SourceFolderMissing(f"{root} is not a folder")
    packages: dict[str, list[Path]] = defaultdict(list)
    for path in _source_files(root):
        packages[path.relative_to(root).parts[0].removesuffix(".py")].append(path)
    if not packages:
        raise NothingToAnalyse(f"{root} holds no .py files")
    return tuple(
        PackagePlan(
            analysis_id=stable_id(run_id, name),
            project_id=f"{PROJECTS[index % len(PROJECTS)]}-{run_id[-6:]}",
            package=name,
            files=tuple(files),
            size=sum(path.stat().st_size for path in files),
        )
        for index, (name, files) in enumerate(sorted(packages.items()))
    )


def _source_files(root: Path) -> Iterator[Path]:
    """The Python files below a folder, sorted; folders of installed packages are not entered."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in INSTALLED)
        for name in sorted(names):
            path = Path(folder, name)
            if name.endswith(".py") and path.is_file():
                yield path


def projects_of(plans: Sequence[PackagePlan]) -> tuple[str, ...]:
    """The projects of a plan, each once."""
    return tuple(dict.fromkeys(item.project_id for item in plans))


def share(plans: Sequence[PackagePlan], index: int, count: int) -> tuple[PackagePlan, ...]:
    """The plans of producer `index` of `count`: largest first, each to whoever has least."""
    loads = [0] * count
    mine = []
    for item in sorted(plans, key=lambda known: (-known.size, known.package)):
        owner = loads.index(min(loads))
        loads[owner] += item.size
        if owner == index:
            mine.append(item)
    return tuple(sorted(mine, key=lambda known: known.package))


def stable_id(*parts: str) -> str:
    """A short id that is the same for the same parts."""
    return sha256("/".join(parts).encode()).hexdigest()[:16]
