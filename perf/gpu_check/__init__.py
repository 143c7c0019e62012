"""Everything about the Whisper engine that only a CUDA GPU can show, in one command.

    python -m perf.gpu_check

Needs torch, numpy, safetensors, tokenizers and transformers; no network, no weights, no server:
networks of the published sizes get random weights. Every part is a process of its own with a
time of its own, so that one that fails, hangs or corrupts the device takes no other with it;
what a part has found is written down as it finds it. Ends within 8 minutes.

Read in this order: `models` (sizes and random weights), `costs` (bytes and operations on
paper), `device` (clocks and memory), `setting` and `findings`, the parts (`machine`, `parity`,
`speed`, `attention`, `pressure`, `peer`), `parts` (one process each) and `report`.
"""
