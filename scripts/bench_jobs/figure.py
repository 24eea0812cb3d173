"""The figure of the page ``speed``: how many times longer the typed commands take, and how bundling grows with the wheels.

It needs matplotlib (the extra ``bench``), which nothing else here does: a test looks at the digest of the results that it
was drawn of, and draws nothing.

Example::

    documents = [{"stack": "h100", "results": []}]
    Path("speed.svg").write_text(figure(documents))
"""

from __future__ import annotations

import hashlib
import importlib
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from .page import ITS_OWN


def digest(documents: Sequence[Mapping[str, Any]]) -> str:
    """Of the results that a figure is drawn of."""
    return hashlib.sha256(json.dumps(documents, sort_keys=True).encode()).hexdigest()


def figure(documents: Sequence[Mapping[str, Any]]) -> str:
    """An SVG; equal results and releases of matplotlib give equal bytes."""
    matplotlib: Any = importlib.import_module("matplotlib")
    drawing: Any = importlib.import_module("matplotlib.figure")
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "mirror", "font.size": 9})
    whole = drawing.Figure(figsize=(9, 5), layout="constrained")
    left, right = whole.subplots(1, 2, width_ratios=(3, 2))
    _draw_ratios(left, documents)
    _draw_growth(right, documents)
    stream = io.StringIO()
    whole.savefig(stream, format="svg", metadata={"Date": None, "Creator": None, "Description": digest(documents)})
    return "".join(f"{line.rstrip()}\n" for line in stream.getvalue().splitlines())


def _draw_ratios(axes: Any, documents: Sequence[Mapping[str, Any]]) -> None:
    bars = [
        (f"{job['job']}: {typed['command']}", typed["ratio"]["median"])
        for document in documents
        for job in document["jobs"]
        for typed in job["typed"]
        if "ratio" in typed and job["job"] not in ITS_OWN
    ]
    names, ratios = [name for name, _ in bars], [ratio for _, ratio in bars]
    places = range(len(bars))
    axes.barh(places, ratios, color=["#4c8c4a" if ratio >= 1 else "#b5651d" for ratio in ratios])
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel("times mirror's time (right of 1: mirror is faster)")


def _draw_growth(axes: Any, documents: Sequence[Mapping[str, Any]]) -> None:
    found = [job for document in documents for job in document["jobs"] if job["job"] == "growth"]
    for job in found[:1]:
        points = sorted(
            (int("".join(filter(str.isdigit, one["command"]))), one["wall_s"]["median"])
            for one in (job["mirror"], *job["typed"])
            if "wall_s" in one
        )
        wheels, seconds = [count for count, _ in points], [wall for _, wall in points]
        axes.loglog(wheels, seconds, marker="o", label="mirror bundle")
        axes.loglog(wheels, [seconds[-1] * count / wheels[-1] for count in wheels], ":", color="gray", label="linear")
        axes.legend()
    axes.set_xlabel("wheels")
    axes.set_ylabel("seconds")
