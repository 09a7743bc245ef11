import hashlib
import re
from importlib.resources import files

STATIC = files("gateway") / "static"


def test_the_vendored_client_is_the_released_file() -> None:
    vendor = STATIC / "vendor"
    documented = re.search(r"`([0-9a-f]{64})`", (vendor / "README.md").read_text("utf-8"))
    assert documented is not None
    content = (vendor / "socket.io.min.js").read_bytes()
    assert hashlib.sha256(content).hexdigest() == documented.group(1)


def test_the_page_needs_nothing_from_elsewhere_and_writes_text_only() -> None:
    for name in ("index.html", "page.js", "progress.js", "client.js", "style.css"):
        text = (STATIC / name).read_text("utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text)
        assert not re.search(r"(src|href)=\"(https?:)?//", text)
        assert not re.search(r"url\((?!['\"]?data:)", text)
