"""Everything that touches a socket or the time of the event loop. No other room of the core does."""
