"""Figures of this platform against its peers, on the same bytes in the same run."""
