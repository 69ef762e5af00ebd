"""Four processes on one operation, beside a server that enforces the limit of the Membership API in scaled time."""
