"""What may be on the wire: schema files, catalog, envelope, codec, typed data, names of topics.

Knows no broker.
"""
