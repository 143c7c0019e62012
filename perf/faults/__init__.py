"""What becomes of a run whose processes are killed, stopped and cut off; see `__main__`."""
