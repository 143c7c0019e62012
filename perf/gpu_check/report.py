"""The findings as tables, and how near to the paper floor they are."""

from collections.abc import Iterator, Mapping
from typing import Any

from perf.gpu_check.costs import encoder_flops, step_bytes
from perf.gpu_check.models import LARGE_V3, TURBO
from perf.gpu_check.setting import WINDOW_S
from perf.gpu_check.speed import PROMPT_STEPS
from perf.record import table

SIZES = {"turbo": TURBO.dimensions, "large-v3": LARGE_V3.dimensions}
ITEM_BYTES = 2  # of bf16 and fp16

Values = Mapping[str, Any]


def add_shares(results: Values, tokens: int) -> dict[str, Any]:
    """For every cell of speed: the floor on this device, and which share of it was reached.

    The floor of a step is the time to read its bytes, that of an encoder pass the time to
    compute its operations, at the reach measured in the same run; that of a window is both,
    for one row of the batch.
    """
    reach = findings_of(results, "machine").get("reach", {})
    bandwidth, flops = reach.get("bytes_per_s"), reach.get("flops", {})
    shares: dict[str, Any] = {}
    for part, size, precision, cells in speed_cells(results):
        peak = flops.get(precision)
        if not bandwidth or not peak:
            continue
        sizes = SIZES[size]
        for slots, cell in cells.items():
            length, long = cell["step_length"], cell["long_step_length"]
            step_s = step_bytes(sizes, int(slots), length, ITEM_BYTES) / bandwidth
            long_s = step_bytes(sizes, int(slots), long, ITEM_BYTES) / bandwidth
            encoder_s = encoder_flops(sizes) / peak
            window_s = encoder_s + (tokens + PROMPT_STEPS) * step_s / int(slots)
            shares[f"{part}, {slots}"] = {
                "step": step_s / cell["step_s"],
                "long_step": long_s / cell["long_step_s"],
                "encoder": encoder_s * cell["encoder_windows"] / cell["encoder_pass_s"],
                "engine": window_s * cell["rtfx"] / WINDOW_S,
                "rtfx_on_paper": WINDOW_S / window_s,
            }
    return shares


def findings_of(results: Values, part: str) -> Values:
    """What a part has found; nothing if it has not run."""
    return results.get(part, {}).get("findings", {})


def speed_cells(results: Values) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Part, size, precision and the cells by slots of every measurement of speed."""
    for part in results:
        if part.startswith("speed "):
            _, size, precision = part.split()
            found = findings_of(results, part)
            cells = {
                slots: cell
                for slots, cell in found.items()
                if isinstance(cell, dict) and "rtfx" in cell
            }
            yield part, size, precision, cells


def markdown(results: Values, shares: Values) -> str:
    """All tables."""
    return "\n".join(
        [
            "Random weights of the published sizes; every window is 30 s of sound and is decoded "
            "to the same number of tokens. RTFx: seconds of sound per second, through the whole "
            "engine, word times included. Shares are of the floor on paper at the reach that was "
            "measured in the same run.\n",
            _states(results),
            _machine(results),
            _speeds(results, shares),
            _attention(results),
            _peer(results),
            _agreements(results),
            _memory(results),
            _voices(results),
        ]
    )


def _states(results: Values) -> str:
    rows = [(part, r.get("state", ""), r.get("seconds", "")) for part, r in results.items()]
    return table(("part", "state", "seconds"), rows)


def _machine(results: Values) -> str:
    found = findings_of(results, "machine")
    rows = list(found.get("device", {}).items())
    reach = found.get("reach", {})
    if "bytes_per_s" in reach:
        rows.append(("large copy, GB/s", f"{reach['bytes_per_s'] / 1e9:.0f}"))
    for precision, flops in reach.get("flops", {}).items():
        rows.append((f"large product in {precision}, TFLOP/s", f"{flops / 1e12:.1f}"))
    return table(("device", "value"), rows)


def _speeds(results: Values, shares: Values) -> str:
    columns = ("network", "slots", "RTFx", "on paper", "share", "step ms", "share")
    columns += ("rules ms", "encoder ms per window", "share", "peak MiB")
    rows: list[list[object]] = []
    for part, size, precision, cells in speed_cells(results):
        for slots, cell in cells.items():
            share = shares.get(f"{part}, {slots}", {})
            rules_s = cell["step_s"] - cell["network_of_step_s"]
            peak = cell["peak_memory"] or {}
            rows.append(
                [
                    f"{size} {precision}",
                    f"{cell['slots']} of {slots}",
                    f"{cell['rtfx']:.0f}",
                    f"{share.get('rtfx_on_paper', float('nan')):.0f}",
                    f"{share.get('engine', float('nan')):.2f}",
                    f"{1e3 * cell['step_s']:.2f}",
                    f"{share.get('step', float('nan')):.2f}",
                    f"{1e3 * rules_s:.2f}",
                    f"{1e3 * cell['encoder_pass_s'] / cell['encoder_windows']:.1f}",
                    f"{share.get('encoder', float('nan')):.2f}",
                    peak.get("reserved_mib", ""),
                ]
            )
    return table(columns, rows)


def _attention(results: Values) -> str:
    found = dict(findings_of(results, "attention"))
    row_bytes = found.pop("bytes_per_row", 0)
    bandwidth = findings_of(results, "machine").get("reach", {}).get("bytes_per_s")
    rows: list[list[object]] = []
    for count, times in found.items():
        if not isinstance(times, dict) or "fused_s" not in times:
            rows.append([count, _brief(times), "", "", ""])
            continue
        floor_s = int(count) * row_bytes / bandwidth if bandwidth else float("nan")
        rows.append([count, *(f"{1e6 * time:.1f}" for time in (*times.values(), floor_s))])
    columns = ("rows, cross-attention of a layer", "fused us", "products us", "transposed keys us")
    return table((*columns, "on paper us"), rows)


def _peer(results: Values) -> str:
    ours = findings_of(results, "speed turbo bf16")
    rows: list[list[object]] = []
    for way, found in findings_of(results, "transformers turbo bf16").items():
        if not isinstance(found, dict) or "rtfx" not in found:
            rows.append([way, _brief(found), "", "", ""])
            continue
        own = ours.get(str(found["batch"]), {})
        factor = own["rtfx"] / found["rtfx"] if isinstance(own, dict) and "rtfx" in own else None
        rows.append(
            [
                way,
                f"{found['rtfx']:.0f}",
                "" if factor is None else f"{factor:.1f}",
                f"{found['first_run_s']:.1f}",
                found["compiled_graphs"],
            ]
        )
    columns = ("transformers, turbo bf16", "RTFx", "voiceman is faster by")
    return table((*columns, "first run s", "compiled graphs"), rows)


def _agreements(results: Values) -> str:
    rows: list[list[object]] = []
    for name, found in findings_of(results, "parity").items():
        if isinstance(found, dict) and "equal_windows" in found:
            equal = f"{found['equal_windows']} of {found['windows']}"
            rows.append([name, equal, f"{found['equal_tokens']:.4f}"])
        else:
            rows.append([name, _brief(found), ""])
    return table(("tokens of a small random model", "equal windows", "equal tokens"), rows)


def _memory(results: Values) -> str:
    found = findings_of(results, "memory")
    return table(("too little memory", "what happened"), [(k, _brief(v)) for k, v in found.items()])


def _voices(results: Values) -> str:
    rows: list[list[object]] = []
    for model, found in findings_of(results, "voices").items():
        if not isinstance(found, dict) or "error" in found:
            rows.append([model, _brief(found), ""])
            continue
        rows += [[model, name, value] for name, value in found.items()]
    return table(("wav2vec 2.0 as large as", "figure", "value"), rows)


def _brief(found: object) -> str:
    """A finding in one cell of a table."""
    if isinstance(found, dict) and "error" in found:
        return f"error: {found['error'][-1]}"
    if isinstance(found, dict):
        return ", ".join(f"{name} {value}" for name, value in found.items())
    return str(found)
