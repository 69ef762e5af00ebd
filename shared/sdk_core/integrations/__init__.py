"""The SDKs together with other libraries: a file each, which imports its library itself; the core imports none."""
