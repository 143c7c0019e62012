"""`voiceman-client`: decode recordings, submit their windows, write results."""
