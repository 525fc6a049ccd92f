"""Destination types beside the built-in ones: a module in this folder is all that it takes."""
