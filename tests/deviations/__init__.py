"""What the real APIs, or what stands in front of them, may send otherwise than documented: tables, run through clients.

Each row says which mark of evidence it belongs to: `V` seen in the documentation, `3P` seen in others' code for the
real API, `T` seen of others' servers of the same making, `INF` inferred, and `-` not seen at all.
"""
