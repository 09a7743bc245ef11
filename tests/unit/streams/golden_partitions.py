"""Keys with the partitions that Kafka's Java producer gives them, among 4 and among 7."""

from typing import Final

GOLDEN: Final[tuple[tuple[str, int, int], ...]] = (
    ("a", 0, 5),
    ("ab", 2, 0),
    ("abc", 3, 4),
    ("abcd", 0, 5),
    ("abcde", 1, 4),
    ("21", 0, 3),
    ("foobar", 2, 0),
    ("Analysis/json", 2, 5),
    ("Analysis/asyncio", 3, 6),
    ("Analysis/0197f3c2-7b1e-7c55-9a42-1f0a2b3c4d5e", 2, 4),
    ("SourceFile/json/decoder.py", 0, 3),
    ("SourceFile/xml/etree/ElementTree.py", 0, 1),
    ("SetupSession/s-1", 3, 6),
    ("Repository/wundr", 0, 3),
    ("Notification/n-000001", 2, 3),
    ("user.alice", 3, 0),
    ("project.stdlib", 2, 6),
    ("system", 2, 0),
    ("0197f3c2-7b1e-7c55-9a42-1f0a2b3c4d5e", 0, 5),
    ("Analyse/Übung", 0, 4),
    ("解析/1", 0, 6),
    ("🦉", 0, 0),
    ("x" * 255, 3, 2),
)
