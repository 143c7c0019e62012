"""What several Triton models share: the request adapter, engines, the fbank front end.

Everything here may import torch; a model imports only what it computes with,
because every instance is a process of its own.
"""
