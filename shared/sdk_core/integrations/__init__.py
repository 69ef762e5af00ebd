"""Each module ties the SDKs to one other library, and imports that library itself; the core imports none of them."""
