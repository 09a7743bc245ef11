"""Applications built on the platform, to be read and run."""
