"""Programs that measure the SDKs: `python -m benchmarks` their speed, `python -m benchmarks.audit` their honesty."""
