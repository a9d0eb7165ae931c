"""The broker programs that a lab can run."""
