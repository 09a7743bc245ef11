"""The demonstration.

The reference application on real parts, with its counts taken at every place.
"""
