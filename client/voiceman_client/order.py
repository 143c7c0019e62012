"""What a run is asked to do, and how its folder remembers it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voiceman.errors import LedgerError, RecordingError
from voiceman_client.answer_cache import AnswerCache
from voiceman_client.cache_size import open_cache
from voiceman_client.decode_limits import DecodeLimits
from voiceman_client.heat import HeatSettings, Policy
from voiceman_client.layout import LAYOUTS, Layout
from voiceman_client.ledger import Ledger
from voiceman_client.options import Limits, OptionValues, SubmitOptions
from voiceman_client.own_metrics import PageAddress
from voiceman_client.sensors import choose_sensor
from voiceman_client.server_load import MetricsPage, metrics_address
from voiceman_client.submit import Watched
from voiceman_client.temperature_log import LOG_NAME as TEMPERATURE_LOG

if TYPE_CHECKING:
    from voiceman_client.signing import Signer

_FACT = "order"


@dataclass(frozen=True)
class Means:
    """What a run looks at and may use beside the server, as its user names it.

    Attributes:
        heat_sensor: see `choose_sensor`.
        heat_policy: see `HeatSettings`.
        metrics: host:port of the server's metrics page; None: the usual one.
        cache_size_gb: see `open_cache`.
    """

    heat_sensor: str = "auto"
    heat_policy: Policy = "cautious"
    metrics: str | None = None
    cache_size_gb: float | None = None


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
        means: what else is used.
        own_metrics: where the client's own metrics are served; of this run alone.
    """

    recordings: Sequence[Path]
    missing: Sequence[RecordingError]
    layout: Layout
    server: str
    limits: Limits
    options: OptionValues
    signer: "Signer | None" = None
    means: Means = field(default_factory=Means)
    own_metrics: PageAddress = field(default_factory=PageAddress)

    def asked(self) -> dict[str, Any]:
        """All that another run can be asked for as well, as JSON can hold it."""
        return {
            "server": self.server,
            "layout": self.layout.style,
            "formats": list(self.layout.formats),
            "limits": asdict(self.limits),
            "options": dict(self.options),
            "means": asdict(self.means),
        }

    def watched(self) -> Watched:
        """What is looked at meanwhile.

        Raises:
            ConfigurationError: there is no such sensor.
        """
        return Watched(
            choose_sensor(self.means.heat_sensor, self.server, self.means.metrics),
            HeatSettings(policy=self.means.heat_policy),
            self.layout.folder / TEMPERATURE_LOG,
            MetricsPage(self.means.metrics or metrics_address(self.server)),
        )

    def cache(self) -> AnswerCache | None:
        """The cache of answers; see `open_cache` for errors."""
        return open_cache(self.means.cache_size_gb)

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
        limits = asked["limits"]
        return Order(
            recordings,
            (),
            LAYOUTS[asked["layout"]](folder, asked["formats"]),
            asked["server"],
            Limits(**limits | {"decode": DecodeLimits(**limits["decode"])}),
            asked["options"],
            signer,
            Means(**asked["means"]),
        )
    except (ValueError, KeyError, TypeError) as err:
        raise LedgerError(
            f"{folder}: how its recordings were submitted is not known to this version; submit "
            "them again"
        ) from err
