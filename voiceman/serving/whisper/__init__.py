"""Whisper in plain torch: one engine for CPU and CUDA, readable from front to back.

Read in this order:

1. `checkpoint` (weights and special tokens), `precision` and `layers` (the weights, shaped for
   computing), `features` (log-mel), `network` (encoder, one decoder step, alignment heads).
2. `rules` (what may be said next), `rows` (the state of everything in flight, and one step of it).
3. `voiceman.serving`'s `lanes` and `graphs`, `buckets` and `packing` (streams, recorded work, its
   shapes, one copy per row: what CUDA needs; on the CPU they do nothing), `encoder` and `batch`
   (all of this behind a few calls), `memory` (fewer slots when it is full).
4. `segments`, `words`, `alignment`, `fallback` and `transcript` (tokens to evidence), `prompt`.
5. `window` (request and answer), `job` (a window on its way), `driver` (the loop: who is in
   flight, looks, continuation), `engine` (the door), `metrics`.

Letters in shapes: b windows in an encoder batch, s slots (rows of a step), v vocabulary,
d model width, h heads, e width of a head, t text positions, a audio positions (1,500 of 20 ms).
"""
