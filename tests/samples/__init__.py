"""The service as its clients and its operator have it: a process, spoken to over HTTP."""
