"""Small programs that use the SDKs as an application would; the tests run them."""
