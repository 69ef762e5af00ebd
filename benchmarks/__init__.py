"""Programs that measure the SDKs; each runs with `python -m benchmarks.<name>`."""
