"""May a network be computed in 16 bits? Its own outputs on real speech decide, at the export.

Rounding does to every network something else: half the time is no reason where it moves outputs
by more than a hundredth of their range, or makes another class the likeliest.
"""

import json
import logging
from pathlib import Path

import torch

from voiceman.errors import VoicemanError
from voiceman.serving.wav2vec2_network import CONFIG, SIXTEEN_BITS
from voiceman_export.check_speech import utterances
from voiceman_export.parity import Comparison
from voiceman_export.voice_runs import Runs

log = logging.getLogger(__name__)

COUNT = 24


def decide_rounding(folder: Path, runs: Runs, *, classes: bool) -> None:
    """Compare a network in bf16 with itself in fp32, and write down whether bf16 will do.

    Where the speech to compare on cannot be had, it stays fp32.

    Args:
        folder: the exported weights; `config.json` gets the answer.
        runs: the network on sounds.
        classes: outputs are probabilities of classes.
    """
    try:
        run = runs(folder, utterances(COUNT))
        comparison = Comparison(folder.name, "itself in fp32", run(torch.float32), run, classes)
        too_far = [row for row in comparison.rounded(torch.bfloat16) if not row.passed]
        reasons = [f"{row.reference}: {row.difference:.3g} > {row.limit:g}" for row in too_far]
    except VoicemanError as err:
        reasons = [f"it could not be compared ({err})"]
    for reason in reasons:
        log.warning("computed in fp32, at half the speed of bf16: %s", reason)
    path = folder / CONFIG
    config = json.loads(path.read_text(encoding="utf-8")) | {SIXTEEN_BITS: not reasons}
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
