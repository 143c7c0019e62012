"""Whisper in plain torch: one engine for CPU and CUDA, readable from front to back.

Read in this order: `checkpoint` (weights and special tokens), `features` (log-mel), `network`
(encoder, one decoder step, alignment attention), `rules` (what may be said next), `rows` (the
state of everything in flight and one step of it), `batch` (all of this behind five calls),
`segments`, `words`, `alignment` and `transcript` (tokens to evidence), `prompt` and `engine`
(who is in flight: admission, looks, continuation).

Letters in shapes: b windows in an encoder batch, s slots (rows of a step), v vocabulary,
d model width, h heads, e width of a head, t text positions, a audio positions (1,500 of 20 ms).
"""
