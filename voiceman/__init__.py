"""Forensic speech analysis on one box: domain types, contracts and analysis.

This package is the core: pure functions on numpy arrays. `voiceman.serving` holds what the
Triton models share, `voiceman.server` starts the server. The core imports neither torch nor
gRPC; the linter holds these directions.
"""
