"""Where the platform comes together: the `wundr` command, settings, the local stack, topics."""
