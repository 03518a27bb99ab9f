"""Folders of frames, for tests, and what their files may be."""

import cv2
import numpy as np

NUM_FRAMES = 5
HEIGHT, WIDTH = 72, 96


def picture(k, *, height=HEIGHT, width=WIDTH):
    """Frame k: soft colours that JPEG loses something of; BGR."""
    noise = np.random.default_rng(k).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.GaussianBlur(noise, (9, 9), 3) // 2 + 20 * k


def jpeg(pixels, *parameters, suffix=".jpg"):
    """The content of a picture's file, encoded as OpenCV's parameters say."""
    return cv2.imencode(suffix, pixels, list(parameters))[1].tobytes()


def write_folder(folder, *, first=1, num_frames=NUM_FRAMES, name="{:05d}.jpg", **size):
    """Writes frames of pictures 0, 1, ...; `name` is of the number of each."""
    folder.mkdir(parents=True)
    for k in range(num_frames):
        content = jpeg(picture(k, **size))
        (folder / name.format(first + k)).write_bytes(content)
    return folder


def with_exif(content, orientation, order="little"):
    """A JPEG whose Exif has an orientation."""
    mark = b"II*\0" if order == "little" else b"MM\0*"

    def number(value, num_bytes):
        return value.to_bytes(num_bytes, order)

    entry = number(0x0112, 2) + number(3, 2) + number(1, 4)
    entry += number(orientation, 2) + bytes(2)
    directory = number(1, 2) + entry + number(0, 4)
    body = b"Exif\0\0" + mark + number(8, 4) + directory
    return (
        content[:2]
        + b"\xff\xe1"
        + (len(body) + 2).to_bytes(2, "big")
        + body
        + (content[2:])
    )
