"""The web console and the reference in a browser, against a running service."""
