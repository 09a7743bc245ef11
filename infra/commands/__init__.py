"""The sub commands of `wundr`, one module each; a module is imported only when its command runs."""
