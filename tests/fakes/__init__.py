"""Servers, certificates and name service for the tests, all on loopback."""
