"""The audit of the workflows: does a run do something twice, claim what it did not do, or outlast its time?

A world is one contract or subscription, drawn from the seed and its number: a server that lags behind, works slowly or
late, loses answers, refuses doubles or not; other people who change the same thing; runs that crash, and runs after
them. All requests go over real (Unix) sockets through the real clients. Only time is made up: the event loop's clock
jumps to whatever comes next, so that ten minutes of waiting take none, and each world is the same whenever it is run.
"""
