"""Decodes one clip into JPEG frames, or refuses it with a reason."""
