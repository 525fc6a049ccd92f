"""Copying a store to another one, also of another sort: between a directory and a database, in either direction.

Every document keeps its revision, for what is sealed in it is bound to that, and its place in the order of first saves. The files
of result sets go along. Until all of it was compared, what is copied to opens for nobody else; a copy that was interrupted is
repeated, and goes on.
"""
