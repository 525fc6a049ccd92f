"""What every destination type must do, and what is special about each."""
