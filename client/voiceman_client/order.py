"""What a run is asked to do, and how its folder remembers it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voiceman.errors import LedgerError, RecordingError
from voiceman_client.layout import LAYOUTS, Layout
from voiceman_client.ledger import Ledger
from voiceman_client.options import Limits, OptionValues, SubmitOptions

if TYPE_CHECKING:
    from voiceman_client.signing import Signer

_FACT = "order"


@dataclass(frozen=True)
class Order:
    """What a run is to do.

    Attributes:
        recordings: files to work on.
        missing: arguments that named none.
        layout: of the results folder.
        server: host:port of gRPC.
        limits: how much may happen at once.
        options: of all recordings.
        signer: to sign the run with.
    """

    recordings: Sequence[Path]
    missing: Sequence[RecordingError]
    layout: Layout
    server: str
    limits: Limits
    options: OptionValues
    signer: "Signer | None" = None

    def asked(self) -> dict[str, Any]:
        """All but the recordings and the key, as JSON can hold it."""
        return {
            "server": self.server,
            "layout": self.layout.style,
            "formats": list(self.layout.formats),
            "limits": asdict(self.limits),
            "options": dict(self.options),
        }

    def keep(self, ledger: Ledger) -> None:
        """File what is asked for, so that a later run can ask for the same."""
        ledger.state_fact({_FACT: json.dumps(self.asked())})


def kept_order(
    ledger: Ledger, folder: Path, recordings: Sequence[Path], signer: "Signer | None" = None
) -> Order:
    """An order like the last one that was carried out in a folder.

    Args:
        ledger: of the folder.
        folder: of the results.
        recordings: files to work on.
        signer: to sign the run with.

    Raises:
        LedgerError: nothing is filed there, or it is of another version.
    """
    try:
        asked = json.loads(ledger.fact(_FACT) or "")
        SubmitOptions(**asked["options"])
        return Order(
            recordings,
            (),
            LAYOUTS[asked["layout"]](folder, asked["formats"]),
            asked["server"],
            Limits(**asked["limits"]),
            asked["options"],
            signer,
        )
    except (ValueError, KeyError, TypeError) as err:
        raise LedgerError(
            f"{folder}: how its recordings were submitted is not known to this version; submit "
            "them again"
        ) from err
