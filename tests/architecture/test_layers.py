"""Who may import whom holds in the tree as it is now."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOORS = {
    "faust": "streams/runtime/",
    "aiokafka": "streams/kafka/",
    "confluent_kafka": "infra/",
    "rocksdict": "streams/runtime/stores/",
    "psycopg": "connectors/",
    "psycopg_pool": "connectors/",
    "avro": "schemas/",
    "fastavro": "schemas/",
    "prometheus_client": "streams/exposition.py",
    "socketio": "gateway/",
    "engineio": "gateway/",
}


def test_the_import_contracts_hold() -> None:
    checked = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


def test_each_library_has_one_door() -> None:
    strangers = [
        f"{path.relative_to(ROOT)} imports {library}"
        for package in ("schemas", "streams", "connectors", "gateway", "infra", "examples")
        for path in (ROOT / package).rglob("*.py")
        for library in _imported_libraries(path)
        if library in DOORS and not str(path.relative_to(ROOT)).startswith(DOORS[library])
    ]
    assert strangers == []


def _imported_libraries(path: Path) -> set[str]:
    libraries = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            libraries |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            libraries.add(node.module.split(".")[0])
    return libraries
