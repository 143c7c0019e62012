"""What a result leaves unsaid, in one line for whoever runs the command."""

import math

from voiceman_client.result import Result

_SHOWN = 3  # passages; the others are in the result


def untold(result: Result) -> str:
    """How much of the speech has text and where words are missing; empty: nowhere."""
    gaps = [flag for flag in result["flags"] if flag["kind"] == "speech_without_words"]
    speech_s, share = result["speech"], result["speech_with_text"]
    if not gaps or speech_s is None or share is None:
        return ""
    where = ", ".join(f"{gap['start']:.1f} to {gap['end']:.1f} s" for gap in gaps[:_SHOWN])
    more = f" and {len(gaps) - _SHOWN} more" if len(gaps) > _SHOWN else ""
    return (
        f"{math.floor(share * 100)} % of {speech_s:.1f} s of speech has text; none at {where}{more}"
    )
