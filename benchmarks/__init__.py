"""The figures that the project promises, measured: `make bench`, one JSON line a figure."""
