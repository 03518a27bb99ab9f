"""Encodes a clip's frames as JPEGs, reduced as the settings require."""

import cv2
import numpy as np
import numpy.typing as npt

from mindrecord_io import records
from mindrecord_io.shards import jpeg_regions, schema
from pipelines.quarantine import ClipError, DecodeLimits

__all__ = ["JpegCollector"]

Frame = npt.NDArray[np.uint8]


class JpegCollector:
    """Collects the JPEGs of one clip, frame by frame; all frames have one size."""

    def __init__(
        self, settings: records.DecodeSettings, clip_limits: DecodeLimits
    ) -> None:
        self._settings = settings
        self._limits = clip_limits
        self._jpegs: list[bytes] = []
        self._sizes: list[int] = []
        self._num_bytes = 0
        self._shape = (0, 0)

    @property
    def num_frames(self) -> int:
        """The number of frames added."""
        return len(self._sizes)

    def add(self, frame: Frame, has_fine_colours: bool = False) -> None:
        """Reduces and encodes the next frame, BGR (H, W, 3).

        Args:
          frame: the next frame.
          has_fine_colours: the source has colours at every pixel (4:4:4); then the
            JPEG has them too.

        Raises:
          ClipError: the clip breaks a limit.
        """
        height, width = frame.shape[:2]
        if self.num_frames == self._limits.max_frames:
            limit = f"more than {self._limits.max_frames} frames"
            raise ClipError("too_long", limit)
        self.refuse_large(height, width)
        if not self.keeps_size(height, width):
            frame = _reduced(frame, self._settings.short_side_px)
        jpeg = _encoded(frame, self._settings.jpeg_quality, has_fine_colours)
        self.add_jpeg(jpeg, frame.shape[0], frame.shape[1])

    def add_jpeg(self, jpeg: bytes, height: int, width: int) -> None:
        """Adds the next frame, which is a JPEG already."""
        self._sizes.append(len(jpeg))
        self._num_bytes += len(jpeg)
        self._shape = height, width
        if self._is_too_large():  # counted to the end, to say how large it is
            self._jpegs.clear()
        else:
            self._jpegs.append(jpeg)

    def refuse_large(self, height: int, width: int) -> None:
        """Raises ClipError for frames of more pixels than the limit."""
        if height * width > self._limits.max_pixels:
            raise ClipError(
                "frame_too_large",
                f"frames of {width}x{height}, the limit: {self._limits.max_pixels} px",
            )

    def keeps_size(self, height: int, width: int) -> bool:
        """Returns whether frames of this size are stored without being reduced."""
        short_side_px = self._settings.short_side_px
        return short_side_px == 0 or min(height, width) <= short_side_px

    def stored(
        self, facts: records.SourceFacts, damage: str = ""
    ) -> records.ClipFrames:
        """Returns the clip; `damage` is what is wrong with it, "" if nothing.

        Raises:
          ClipError: the clip is larger than a row can be.
        """
        if self._is_too_large():
            detail = schema.too_large(self._num_bytes, self.num_frames)
            raise ClipError("too_large", detail)
        return records.ClipFrames(
            jpegs=b"".join(self._jpegs),
            frame_sizes=tuple(self._sizes),
            height=self._shape[0],
            width=self._shape[1],
            facts=facts,
            damage=damage,
        )

    def _is_too_large(self) -> bool:
        return self._num_bytes > schema.max_frames_num_bytes(self.num_frames)


def _reduced(frame: Frame, short_side_px: int) -> Frame:
    """Returns the frame with this short side, in pixels."""
    height, width = frame.shape[:2]
    short = min(height, width)
    size = round(width * short_side_px / short), round(height * short_side_px / short)
    resized: Frame = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    return resized


def _encoded(frame: Frame, quality: int, has_fine_colours: bool) -> bytes:
    interval = jpeg_regions.restart_interval(frame.shape[1])
    parameters = [
        *(cv2.IMWRITE_JPEG_QUALITY, quality),
        # Lets a reader cut a crop out of the bytes; costs 3 to 4 % more of them.
        *(cv2.IMWRITE_JPEG_RST_INTERVAL, interval),
    ]
    if has_fine_colours:
        parameters += [
            *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
        ]
    is_encoded, jpeg = cv2.imencode(".jpg", frame, parameters)
    if not is_encoded:
        raise ClipError("not_encodable", f"no JPEG of a {frame.shape} frame")
    content: bytes = jpeg.tobytes()
    return content
