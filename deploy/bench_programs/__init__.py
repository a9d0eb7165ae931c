"""Programs for ``bellwire bench`` alone, run by the paths of their files."""
