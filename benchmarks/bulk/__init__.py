"""What a bulk run costs, and what becomes of it when it is killed: `python -m benchmarks.bulk`."""
