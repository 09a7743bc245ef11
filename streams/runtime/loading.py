"""From an import path to an app: `examples.analysis.app`, or `module:attribute`."""

import importlib
import traceback

from streams.app import App
from streams.runtime.errors import AppNotFound, AppNotImported


def load_app(path: str) -> App:
    """Import the app. Raises AppNotFound, or AppNotImported where its module raises an error."""
    module_name, _, attribute = path.partition(":")
    if not all(module_name.split(".")):
        raise AppNotFound(f"{path!r} is no import path")
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # whatever a team's module does when it is imported
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and f"{module_name}.".startswith(f"{missing}."):
            raise AppNotFound(f"there is no module {module_name!r}") from error
        raise AppNotImported(
            f"module {module_name!r} does not import: {type(error).__name__} "
            f"at {_place(error, module_name)}"
        ) from error
    app = getattr(module, attribute or "app", None)
    if not isinstance(app, App):
        raise AppNotFound(f"module {module_name!r} has no app named {attribute or 'app'!r}")
    return app


def _place(error: BaseException, module_name: str) -> str:
    """File and line where the team's own modules were when it happened, if anywhere there."""
    if isinstance(error, SyntaxError) and error.filename is not None:
        return f"{error.filename}:{error.lineno}"
    package = module_name.partition(".")[0]
    frames = list(traceback.walk_tb(error.__traceback__))
    own = [
        (frame, line)
        for frame, line in frames
        if str(frame.f_globals.get("__name__")).partition(".")[0] == package
    ]
    frame, line = (own or frames)[-1]
    return f"{frame.f_code.co_filename}:{line}"
