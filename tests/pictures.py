"""What must hold of any picture: readable texts, and colours that stand out."""

from unittest import mock

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.text import Text


def texts_of(figure):
    """Draw a figure and return the texts that were drawn, with their boxes."""
    drawn = []
    draw = Text.draw

    def note(text, renderer, *args, **kwargs):
        draw(text, renderer, *args, **kwargs)
        if text.get_visible() and text.get_text().strip():
            # Without the arrow of an annotation, which may be anywhere.
            drawn.append((text, Text.get_window_extent(text, renderer)))

    with mock.patch.object(Text, "draw", note):
        figure.canvas.draw()
    return drawn


def check_readable(figure):
    """No text leaves the figure, and none lies upon another."""
    drawn = texts_of(figure)
    boxes = np.array([box.extents for _, box in drawn])
    low, high = boxes[:, :2], boxes[:, 2:]
    outside = (low < -1).any(axis=1) | (high > np.array(figure.bbox.size) + 1).any(
        axis=1
    )
    assert not outside.any(), [drawn[i][0].get_text() for i in np.flatnonzero(outside)]
    shared = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
    upon = np.argwhere(np.triu((shared > 1).all(axis=2), k=1))
    assert not len(upon), [[drawn[i][0].get_text() for i in pair] for pair in upon[:5]]


def pixels(figure):
    """Render a figure, of shape (height, width, 3), from 0 to 255."""
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[:, :, :3].copy()


def n_pixels(figure, colour):
    """Count the pixels of exactly a colour."""
    wanted = np.round(255 * np.array(to_rgb(colour))).astype(int)
    return int((np.abs(pixels(figure).astype(int) - wanted) <= 1).all(axis=2).sum())


def contrast(one, other):
    """Return the contrast of two colours, from 1 to 21."""
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def luminance(colour):
    """Return how bright a colour is, as the guidelines on accessibility weigh it."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
