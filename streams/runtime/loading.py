"""From an import path to an app: `examples.analysis.app`, or `module:attribute`."""

import importlib

from streams.app import App
from streams.runtime.errors import AppNotFound


def load_app(path: str) -> App:
    """Import the app. Raises AppNotFound; an error inside the module itself is raised as it is."""
    module_name, _, attribute = path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise AppNotFound(f"there is no module {module_name!r}") from error
    except ValueError as error:
        raise AppNotFound(f"{path!r} is no import path") from error
    app = getattr(module, attribute or "app", None)
    if not isinstance(app, App):
        raise AppNotFound(f"module {module_name!r} has no app named {attribute or 'app'!r}")
    return app
