"""The service under input that nobody meant: by its own document, and as raw bytes. `FUZZ_SECONDS` says how long in all."""
