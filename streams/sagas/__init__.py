"""Sagas: workflows over many events, with state, deadlines and compensation."""
