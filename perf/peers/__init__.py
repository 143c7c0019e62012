"""The engines that `make bench-whisper` compares, behind one small interface.

Each is a module with `load(threads)`; a process runs one of them (`perf.peers.worker`).
"""
