"""The plots of chapter 1: two shops under the same load and the same blow, side by side.

Each is a live picture beside a table of words: the figures are this run's and this machine's, the words are the same
everywhere.
"""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from .load import Load
from .tables import Table

GOOD, BAD = "#2e9e5b", "#d1495b"
INK = "#808890"  # readable on JupyterLab's light and dark ground alike


class Plot(go.FigureWidget):
    """A figure which, where it cannot be drawn, says what it shows in the same words in every run."""

    def __repr__(self) -> str:
        return f"Plot: {self.layout.title.text}. Run the cell to see it."

    def _repr_mimebundle_(self, *arguments: Any, **options: Any) -> Any:
        bundle = super()._repr_mimebundle_(*arguments, **options)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        return {"text/plain": repr(self), **(data or {})}


def compare(loads: dict[str, Load]) -> Table:
    """One row a feature: what its clients saw in each shop, in words."""
    verdicts = {name: load.verdicts() for name, load in loads.items()}
    features = list(next(iter(loads.values())).features)
    rows = [(feature, *(verdicts[name][feature] for name in loads)) for feature in features]
    return Table(["FEATURE", *(name.upper() for name in loads)], rows)


def timeline(loads: dict[str, Load], title: str) -> Plot:
    """Every request of each shop over time: a dot where it was answered, a cross where it was lost."""
    figure = make_subplots(rows=1, cols=len(loads), shared_yaxes=True, subplot_titles=list(loads))
    longest = max(
        (sample.at for load in loads.values() for samples in load.samples.values() for sample in samples), default=0
    )
    for column, load in enumerate(loads.values(), start=1):
        for answered, name, symbol, colour in ((True, "answered", "circle", GOOD), (False, "lost", "x", BAD)):
            points = [
                (s.at, feature) for feature, samples in load.samples.items() for s in samples if s.answered == answered
            ]
            figure.add_scatter(
                x=[at for at, _ in points],
                y=[feature for _, feature in points],
                mode="markers",
                name=name,
                legendgroup=name,
                showlegend=column == 1,
                marker={"symbol": symbol, "color": colour, "size": 7 if answered else 9},
                row=1,
                col=column,
            )
        for number, (at, name) in enumerate(load.marks, start=1):
            figure.add_vline(
                x=at,
                line={"color": INK, "dash": "dot"},
                annotation_text=name,
                # Two marks may be close: the words of the first stand before its line.
                annotation_position="top left" if number < len(load.marks) else "top right",
                row=1,
                col=column,
            )
        figure.update_xaxes(title_text="seconds", range=[-0.3, longest + 0.5], row=1, col=column)
    features = list(next(iter(loads.values())).features)
    figure.update_yaxes(
        categoryarray=features, range=[len(features) - 0.5, -0.9]
    )  # the first on top, room for the marks
    return _styled(figure, title)


def bars(figures: dict[str, dict[str, float]], title: str, unit: str) -> Plot:
    """Grouped bars: {"monolith": {"browse": 12.0, …}, "microservices": {…}}, with the value on each bar."""
    figure = go.Figure()
    for name, pattern in zip(figures, ("", "/", "x"), strict=False):
        values = figures[name]
        figure.add_bar(
            name=name,
            x=list(values),
            y=list(values.values()),
            text=[f"{value:.3g}" for value in values.values()],
            textposition="outside",
            cliponaxis=False,
            marker={"pattern": {"shape": pattern}},
        )
    figure.update_layout(barmode="group", yaxis_title=unit)
    return _styled(figure, title)


def _styled(figure: go.Figure, title: str) -> Plot:
    grid = {"gridcolor": "rgba(128,136,144,0.3)", "zerolinecolor": "rgba(128,136,144,0.5)"}
    figure.update_xaxes(**grid)
    figure.update_yaxes(**grid)
    figure.update_layout(
        title=title,
        height=320,
        width=570,  # fits a window of 700 pixels: a figure in a widget does not shrink by itself
        margin={"l": 70, "r": 15, "t": 70, "b": 50},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": INK},
        legend={"orientation": "h", "y": -0.25},
    )
    return Plot(figure)
