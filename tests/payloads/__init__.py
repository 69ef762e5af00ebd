"""The documented answers of both APIs, as JSON files; `payload(name)` gives one as it would be on the wire."""

from pathlib import Path


def payload(name: str) -> bytes:
    return Path(__file__).with_name(f"{name}.json").read_bytes()
