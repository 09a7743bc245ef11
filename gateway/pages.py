"""What the gateway serves over plain HTTP: the browser client, health, and in development the page.

The page and its token exist only with `development`, which the settings allow on loopback alone.
"""

from datetime import timedelta
from importlib.resources import files
from typing import Final

from aiohttp import web

from gateway.guard import Handler
from gateway.settings import GatewaySettings
from gateway.tokens import mint

DEVELOPMENT_SUBJECT: Final = "developer"
DEVELOPMENT_RIGHTS: Final = ("system", "project.*", "user.*")
DEVELOPMENT_TOKEN_LIFE: Final = timedelta(hours=12)
_STATIC = files("gateway") / "static"
_SCRIPT = "text/javascript"
_PUBLIC: Final = {
    "/client.js": ("client.js", _SCRIPT),
    "/vendor/socket.io.min.js": ("vendor/socket.io.min.js", _SCRIPT),
}
_DEVELOPMENT: Final = {
    "/": ("index.html", "text/html"),
    "/page.js": ("page.js", _SCRIPT),
    "/progress.js": ("progress.js", _SCRIPT),
    "/style.css": ("style.css", "text/css"),
}


def add_pages(app: web.Application, settings: GatewaySettings) -> None:
    """Add the routes that these settings allow."""
    served = _PUBLIC | _DEVELOPMENT if settings.development else _PUBLIC
    for path, (name, content_type) in served.items():
        app.router.add_get(path, _file(name, content_type))
    if settings.development:
        app.router.add_post("/dev/token", _development_token(settings))


def _file(name: str, content_type: str) -> Handler:
    text = _STATIC.joinpath(name).read_text(encoding="utf-8")

    async def serve(_request: web.Request) -> web.Response:
        return web.Response(
            text=text,
            content_type=content_type,
            charset="utf-8",
            headers={"Cache-Control": "no-cache"},
        )

    return serve


def _development_token(settings: GatewaySettings) -> Handler:
    async def give(_request: web.Request) -> web.Response:
        token = mint(settings, DEVELOPMENT_SUBJECT, DEVELOPMENT_RIGHTS, DEVELOPMENT_TOKEN_LIFE)
        return web.json_response({"token": token}, headers={"Cache-Control": "no-store"})

    return give
