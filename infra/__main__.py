"""`python -m infra` runs the `wundr` command with this very Python."""

from infra.cli import main

main()
