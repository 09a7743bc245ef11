"""The systems that this platform is compared with, each run in an environment of its own."""
