"""Browsers: broadcast topics to Socket.IO rooms, with resume from a cursor.

Guarantees: a client gets what it may see in order per room, after any reconnect, or a `gap` that
names what is missing. Refuses: any client whose origin, token or room right does not hold.
"""
