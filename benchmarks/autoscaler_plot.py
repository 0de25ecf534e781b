"""Draws the days that `autoscaler.py --curves FILE` wrote; needs matplotlib, and nothing of framefleet.

python benchmarks/autoscaler_plot.py curves.json docs/scaling.png
"""

import json
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

WORKING, IDLE, STARTING, BEHIND = "#2a6f97", "#e07a5f", "#d9d9d9", "#222222"
HOURS = range(0, 29, 4)
TROUBLES = ((1.5, 3.5, "few spot machines"), (12.5, 12.67, "no Redis"))


def draw(days: dict[str, list[dict[str, float]]], path: Path) -> None:
    """One row for each set-up: GPUs by what they do, and the work that is left."""
    figure, rows = plt.subplots(len(days), 1, figsize=(9, 2.6 * len(days)), sharex=True, sharey=True, layout="constrained")
    for axes, (name, samples) in zip(rows, days.items(), strict=True):
        hours = [sample["hour"] for sample in samples]
        stacks = [[sample[what] for sample in samples] for what in ("working", "idle", "starting")]
        axes.stackplot(hours, stacks, colors=(WORKING, IDLE, STARTING), labels=("working", "idle", "starting or empty"))
        axes.set(title=name, ylabel="GPUs", xlim=(0, 28), xticks=HOURS)
        behind = axes.twinx()
        behind.plot(hours, [sample["behind"] for sample in samples], color=BEHIND, linewidth=1, label="backlog")
        behind.set(ylabel="backlog, GPU-hours", ylim=(0, 55))
        for begin, end, trouble in TROUBLES:
            axes.axvspan(begin, end, color="gold", alpha=0.25, linewidth=0)
            axes.annotate(trouble, (begin, axes.get_ylim()[1]), xytext=(1, -10), textcoords="offset points", fontsize=7)
    figure.legend(*_merged(rows[0], behind), loc="outside upper center", ncols=4, frameon=False)
    rows[-1].set_xlabel("hour of the day")
    figure.savefig(path, dpi=110)


def _merged(axes: plt.Axes, behind: plt.Axes) -> tuple[list[object], list[str]]:
    found = [one.get_legend_handles_labels() for one in (axes, behind)]
    return [*found[0][0], *found[1][0]], [*found[0][1], *found[1][1]]


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2]))
