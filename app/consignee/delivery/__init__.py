"""Result sets on their way: what was taken in, and what brings it to the destinations of its collection."""
