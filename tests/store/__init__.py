"""What every store must do, and what the one on the disk must survive."""
