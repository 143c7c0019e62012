"""The voice networks on a device: parity of what is padded, recorded and rounded; speed.

wav2vec 2.0 of the published sizes with random weights from transformers, its frames averaged:
what the heads of the emotion models see. The oracle is every utterance alone, in fp32, eager.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor
from transformers import Wav2Vec2Config, Wav2Vec2Model

from perf.gpu_check.device import clean_up, forget_peak, peak_memory, seconds_per_run
from perf.gpu_check.findings import Findings
from perf.gpu_check.setting import Clock, Setting
from voiceman.audio import SAMPLE_RATE_HZ
from voiceman.serving.lanes import new_lane
from voiceman.serving.processor import fast_dtype
from voiceman.serving.recorded import Floats, Recorded
from voiceman.serving.wav2vec2 import Settings, Wav2Vec2

LENGTHS_S = (4.0, 3.1, 1.2, 4.0, 2.5, 0.6, 3.7, 2.0)
BUCKET_S = 4.0


def compare_voices(setting: Setting, clock: Clock, findings: Findings) -> None:
    """Every network of the setting, as long as there is time."""
    torch.backends.cudnn.allow_tf32 = False  # fp32 is the oracle here: no 10-bit products
    for name, sizes in setting.voices.items():
        if clock.left_s() < 10:
            findings.note(name, "not measured: no time was left")
            continue
        findings.attempt(name, partial(_compare, setting, sizes))
        clean_up(setting.device)


@torch.inference_mode()
def _compare(setting: Setting, sizes: dict[str, object]) -> dict[str, object]:
    device = setting.device
    torch.manual_seed(0)
    source = Wav2Vec2Model(Wav2Vec2Config(**sizes)).eval().to(device)
    waveforms, lengths = _utterances()

    def network(dtype: torch.dtype) -> Wav2Vec2:
        tensors = dict(source.state_dict())
        positions = "encoder.pos_conv_embed.conv"
        tensors[f"{positions}.weight"] = source.get_submodule(positions).weight
        return Wav2Vec2(tensors, Settings.read(source.config.to_dict()), device, dtype)

    exact = network(torch.float32)
    oracle = _alone(exact, waveforms, lengths, device)
    theirs = _alone(lambda sound: source(sound).last_hidden_state, waveforms, lengths, device)
    forget_peak(device)
    found: dict[str, object] = {
        "deviation of outputs": float(oracle.std()),
        "transformers, fp32": _apart(theirs, oracle),
        "padded and recorded, fp32": _apart(_recorded(exact, setting)(waveforms, lengths), oracle),
    }
    dtypes = (fast_dtype(device), torch.float16) if device.type == "cuda" else (torch.bfloat16,)
    for dtype in dict.fromkeys(dtypes):
        name = str(dtype).removeprefix("torch.")
        rounded = network(dtype)
        answers = _recorded(rounded, setting)(waveforms, lengths)
        found[f"padded and recorded, {name}"] = _apart(answers, oracle)
        found |= _speed(rounded, waveforms, lengths, setting, name)
    found["peak_memory"] = peak_memory(device)
    return found


def _speed(
    network: Wav2Vec2, waveforms: Floats, lengths: np.ndarray, setting: Setting, name: str
) -> dict[str, float]:
    """Seconds of sound per second: recorded, copies included, and eager without them."""
    lane = new_lane(setting.device)
    recorded = _recorded(network, setting)
    sound, samples = (torch.from_numpy(a).to(setting.device) for a in (waveforms, lengths))
    heard_s = float(lengths.sum()) / SAMPLE_RATE_HZ
    works: dict[str, Callable[[], object]] = {
        "recorded": lambda: recorded(waveforms, lengths),
        "eager": lambda: _mean_of(network)(sound, samples),
    }
    return {
        f"rtfx {way}, {name}": heard_s / seconds_per_run(lane, work, setting.runs)
        for way, work in works.items()
    }


def _utterances() -> tuple[Floats, np.ndarray]:
    """Noise of unit variance [b, n] with zeros behind the lengths [b] in samples."""
    lengths = np.array([int(seconds * SAMPLE_RATE_HZ) for seconds in LENGTHS_S])
    padded = np.zeros((len(lengths), int(BUCKET_S * SAMPLE_RATE_HZ)), np.float32)
    generator = np.random.default_rng(5)
    for row, length in zip(padded, lengths, strict=True):
        row[:length] = generator.standard_normal(length)
    return padded, lengths


def _mean_of(network: Wav2Vec2) -> Callable[[Tensor, Tensor], Tensor]:
    def compute(sound: Tensor, samples: Tensor) -> Tensor:
        hidden = network(sound, samples).float()
        frames = torch.arange(hidden.shape[1], device=hidden.device)
        inside = (frames < network.frames(samples)[:, None])[..., None]
        return (hidden * inside).sum(dim=1) / inside.sum(dim=1)

    return compute


def _recorded(network: Wav2Vec2, setting: Setting) -> Recorded:
    return Recorded(_mean_of(network), new_lane(setting.device))


def _alone(
    network: Callable[[Tensor], Tensor],
    waveforms: Floats,
    lengths: np.ndarray,
    device: torch.device,
) -> Floats:
    answers: list[Floats] = []
    for row, length in zip(waveforms, lengths, strict=True):
        hidden = network(torch.from_numpy(row[:length])[None].to(device))
        answers.append(hidden.float().mean(dim=1)[0].cpu().numpy())
    return np.stack(answers)


def _apart(found: Floats, expected: Floats) -> float:
    return float(np.abs(found - expected).max())
