"""The CTC network of a language: what it takes, and where it hears given labels."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from voiceman.analysis.ctc_alignment import Placement, place_labels
from voiceman.analysis.ctc_labels import Spelling, Vocabulary
from voiceman.analysis.network_inputs import Network, batches, normalise
from voiceman.audio import Waveform
from voiceman.errors import WeightsError

# Segments in a batch: the requirements' default.
MAX_BATCH_SEGMENTS = 16


@dataclass(frozen=True)
class CtcFormat:
    """What has to be known about an exported CTC network, beside its weights.

    Attributes:
        vocabulary: what its outputs stand for.
        normalised: it was trained on samples of zero mean and unit variance.
        receptive_field: samples that its first frame needs.
        hop: samples from one frame to the next.
    """

    vocabulary: Vocabulary
    normalised: bool
    receptive_field: int
    hop: int

    def frames(self, samples: int) -> int:
        """Frames that the network makes of so many samples."""
        return max(0, (samples - self.receptive_field) // self.hop + 1)

    @property
    def shortest(self) -> int:
        """The least samples that are aligned: two frames."""
        return self.receptive_field + self.hop

    def to_json(self) -> str:
        """As the text of the file beside the weights."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "CtcFormat":
        """From the text of the file beside the weights.

        Raises:
            WeightsError: it is no such text.
        """
        try:
            values = json.loads(text)
            return cls(vocabulary=Vocabulary(**values.pop("vocabulary")), **values)
        except (ValueError, KeyError, TypeError) as err:
            raise WeightsError(f"not the format of a CTC network ({err})") from err


def hear_labels(
    sounds: Sequence[Waveform], spellings: Sequence[Spelling], form: CtcFormat, network: Network
) -> list[Placement | str]:
    """Find the labels of every segment in its sound; the emissions of one batch live at a time.

    Args:
        sounds: [n] of every segment, at least `form.shortest` samples.
        spellings: of every segment.
        form: of the network.
        network: the exported network, to log-probabilities [b, frames, labels].

    Returns:
        For every segment its placement, or the reason why there is none.
    """
    inputs = [normalise(sound) for sound in sounds] if form.normalised else list(sounds)
    found: list[Placement | str] = [""] * len(inputs)
    for batch in batches(inputs, MAX_BATCH_SEGMENTS):
        emissions = network(batch.samples, batch.lengths)
        placements = place_labels(
            [
                emission[: form.frames(int(length))]
                for emission, length in zip(emissions, batch.lengths, strict=True)
            ],
            [spellings[index].labels for index in batch.indices],
            form.vocabulary.blank,
        )
        for index, placement in zip(batch.indices, placements, strict=True):
            found[index] = placement
    return found
