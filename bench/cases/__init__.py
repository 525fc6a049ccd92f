"""What is measured: each module has `contests(lab)`, which yields its contests and tables in order."""
