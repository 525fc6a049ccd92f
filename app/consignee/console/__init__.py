"""The web console: static files, a client of the public API like any other. `consignee.web.console` serves them."""
