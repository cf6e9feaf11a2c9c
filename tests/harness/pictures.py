"""Pictures that a browser takes of a page, compared by what is where in them.

Both pictures of a comparison are taken by one browser in one run. Pictures that are stored would
differ with the fonts, the browser and the graphics of a machine.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Final, NamedTuple

from playwright.sync_api import Page

__all__ = ["SIDE", "Picture", "likeness", "read_picture"]

#: Side of the squares that pictures are divided into: letters are smoothed otherwise on a dark
#: ground, so that pixels differ where squares do not.
SIDE: Final = 8
#: Difference of the brightest and the darkest pixel of a square that is not empty, of 255.
DETAIL: Final = 20

#: Reads a picture in a browser, which can decode it.
READ = """async ([encoded, side, detail]) => {
  const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
  const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  const { width, height } = image;
  const canvas = new OffscreenCanvas(width, height).getContext("2d");
  canvas.drawImage(image, 0, 0);
  const details = [];
  let sum = 0;
  for (let top = 0; top < height; top += side) {
    for (let left = 0; left < width; left += side) {
      const [wide, high] = [Math.min(side, width - left), Math.min(side, height - top)];
      const { data } = canvas.getImageData(left, top, wide, high);
      const shades = [];
      for (let at = 0; at < data.length; at += 4) {
        shades.push(0.2126 * data[at] + 0.7152 * data[at + 1] + 0.0722 * data[at + 2]);
      }
      details.push(Math.max(...shades) - Math.min(...shades) > detail);
      sum += shades.reduce((one, other) => one + other);
    }
  }
  return [width, height, details, sum / (width * height * 255)];
}"""


class Picture(NamedTuple):
    """The contents of a picture, as far as they are compared."""

    size: tuple[int, int]
    #: For each square, row by row, whether it is not empty.
    details: list[bool]
    #: The mean of all pixels, from 0 to 1.
    brightness: float


def read_picture(page: Page, png: bytes) -> Picture:
    """Return the contents of a picture; ``page`` is any page whose policy allows scripts."""
    encoded = b64encode(png).decode()
    width, height, details, brightness = page.evaluate(READ, [encoded, SIDE, DETAIL])
    return Picture((width, height), details, brightness)


def likeness(one: Picture, other: Picture) -> float:
    """Return the part of the squares with something in one picture that have it in both."""
    pairs = list(zip(one.details, other.details, strict=True))
    return sum(map(all, pairs)) / sum(map(any, pairs))
