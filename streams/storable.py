"""Which states a projection can have: dictionaries that JSON can say."""

import orjson

from streams.errors import StateNotStorable
from streams.projection import Projection, State


def checked(projection: Projection, state: object) -> State:
    """The state that a fold has returned. Raises StateNotStorable."""
    # A fold belongs to a team's app: what it returns need not be what its annotation says.
    if not isinstance(state, dict):
        raise StateNotStorable(
            f"projection {projection.name!r}: the state is a {type(state).__name__}, no dict"
        )
    return state


def storable(projection: Projection, state: State) -> bytes:
    """The state as JSON. Raises StateNotStorable."""
    try:
        return orjson.dumps(state)
    except orjson.JSONEncodeError as error:
        raise StateNotStorable(f"projection {projection.name!r}: {error}") from error
