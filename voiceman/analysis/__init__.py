"""Analysis as pure functions on numpy arrays: what is found in speech, without any server."""
