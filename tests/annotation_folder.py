"""A folder of annotation files, good but for what a test changes."""

import json

LABELS = {
    "Approaching something with your camera": "0",
    "Pouring something into something": "1",
    "Spinning something that quickly stops spinning": "2",
}
NAMES = tuple(LABELS)
SPINNING = "Spinning [something] that quickly stops spinning"
POURING = "Pouring [something] into [something]"
TRAIN = [
    {
        "id": "74225",
        "label": "spinning cube that quickly stops spinning",
        "template": SPINNING,
        "placeholders": ["cube"],
    },
    {"id": "78687", "label": "pouring tea into a cup", "template": POURING},
]
VALIDATION = [{"id": "9", "template": "Approaching [something] with your camera"}]
TEST = [{"id": "1420"}, {"id": "3"}]


def write_folder(folder, prefix="", **changed):
    """Writes a good annotation folder; `changed` replaces files (None: leaves out)."""
    values = {"labels": LABELS, "train": TRAIN, "validation": VALIDATION, "test": TEST}
    for role, value in (values | changed).items():
        if value is None:
            continue
        text = value if isinstance(value, str | bytes) else json.dumps(value)
        content = text if isinstance(text, bytes) else text.encode()
        (folder / f"{prefix}{role}.json").write_bytes(content)
    return folder
