"""This platform under test: one program per bench, each run in a process of its own."""
