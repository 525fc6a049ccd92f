"""What every queue must do. The folder is not named like the package: the standard library has a module `queue`."""
