"""The audit: does the SDK ever lie about what happened?

A server that misbehaves in every way it knows keeps a ledger of what it received and what it did. Thousands of calls of
all operations, some cancelled, some with hardly any time, go through it; afterwards each call's own account is held
against the ledger. Every count of `judge.Lie` must be zero, and nothing may be left behind.

A call's plan and the faults it meets are drawn from the seed and its number alone, so `--only NUMBER` meets them again.
Timing, and what befalls whole connections before a request was read, differ from run to run.
"""
