"""An app that keeps what customers are called, and how many workers have started."""

from typing import Any

from schemas.event import Event
from streams.app import App
from streams.projection import KeptIn, State

app = App("shop")


@app.projection(
    "customers",
    on=["order.placed"],
    initial=dict,
    key=lambda event: str(event.payload["buyerId"]),
    kept_in=KeptIn.POSTGRES,
)
def customers(_state: State, event: Event[Any]) -> State:
    """The name that a customer gave last."""
    return {"name": event.payload["name"]}


@app.projection("workers", on=["system.worker.started"], initial=dict, kept_in=KeptIn.POSTGRES)
def workers(state: State, _event: Event[Any]) -> State:
    """How many there were."""
    return {"count": state.get("count", 0) + 1}
