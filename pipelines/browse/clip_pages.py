"""The pages of one clip: all of it to look at, or its doubted label to decide on."""

from collections.abc import Iterator, Sequence

from mindrecord_io.serving.clip_random import ClipRandom
from mindrecord_io.serving.views import CentreView, TrainView
from pipelines.browse import layout
from pipelines.browse.clip_table import ClipFilter
from pipelines.browse.collection import Collection, StoredClip
from pipelines.quarantine import REASONS
from pipelines.report import html_pieces
from pipelines.report.html_pieces import escape

__all__ = ["clip_page", "suspect_page"]

_NUM_EPOCHS = 4
_SEED = 1


def clip_page(collection: Collection, row: int, chosen: ClipFilter) -> str:
    """Returns a clip's page; `chosen` is the list in which it was opened."""
    table = collection.table
    clip_id = table.clip_id(row)
    body = [f"<p>{escape(collection.label(row) or 'not labelled')}</p>"]
    body.append(_around(collection, row, chosen))
    fields = collection.fields(row)
    if why := REASONS.get(fields["reason"]):
        text = f"{fields['reason']}: {why.meaning}. What to do: {why.remedy}."
        body.append(f'<p class="bad">{escape(text)}</p>')
    if int(table.num_frames[row]):
        clip = collection.stored(row)
        body.append(_player(collection, row))
        body.append(_seen(clip, clip_id, int(table.label_ids[row])))
    if decided := collection.corrections.label(clip_id):
        fields["decided label"] = decided
    body += _predicted(collection, row)
    rows = [(n, str(v)) for n, v in fields.items() if v not in (None, "")]
    body.append(html_pieces.section("Its row", html_pieces.table(("", ""), rows)))
    body += _history(collection, row)
    if int(table.num_frames[row]):
        body.append(html_pieces.section("Every frame", _every_frame(clip_id, clip)))
    return layout.page(collection, f"Clip {clip_id}", "/", body)


def suspect_page(collection: Collection, place: int) -> str:
    """Returns the suspect at a place of the queue, to be kept or corrected by a key."""
    title = "Labels that may be wrong"
    if not collection.suspects:
        text = (
            "None: the network's predictions agree with the labels."
            if collection.predictions
            else "Give --predictions FILE, written by `clipmill eval --output FILE` on "
            "clips that the network was not trained on."
        )
        return layout.page(collection, title, "/suspects", [f"<p>{escape(text)}</p>"])
    place = min(place, len(collection.suspects) - 1)
    suspect = collection.suspects[place]
    row = collection.table.row_of(suspect.clip_id)
    assert row is not None
    decided = collection.corrections.label(suspect.clip_id)
    state = f"decided: {decided}" if decided else "not decided"
    text = f"{place + 1:,} of {len(collection.suspects):,}, clip {suspect.clip_id}"
    after = layout.link("/suspects", place=place + 1)
    whole = layout.link("/clip", id=suspect.clip_id)
    before = layout.link("/suspects", place=max(0, place - 1))
    body = [
        f'<p role="status">{escape(text)}; <span id="decision">{escape(state)}</span>'
        "</p>",
        _player(collection, row),
        _choices(collection, row, suspect.label, suspect.suggested_label),
        f'<p><a rel="prev" href="{before}">back (p)</a> '
        f'<a rel="next" href="{after}">skip (n)</a> '
        f'<a href="{escape(whole)}">the clip</a></p>',
        f'<p class="soft">{len(collection.corrections):,} decisions are in '
        f"{escape(collection.corrections.path)}, for `clipmill relabel "
        "--corrections`.</p>",
    ]
    return layout.page(collection, title, "/suspects", body)


def _choices(collection: Collection, row: int, label: str, suggested: str) -> str:
    """Returns a button for the label, the suggestion and other likely classes."""
    others = [name for name, _ in _ranked(collection, row)]
    names = list(dict.fromkeys((label, suggested, *others)))
    probability = dict(_ranked(collection, row))
    clip_id = escape(collection.table.clip_id(row))
    keys = ["k", "c", *map(str, range(1, len(names) - 1))]
    buttons = []
    for key, name in zip(keys, names, strict=True):
        what = {"k": "Keep", "c": "Correct to"}.get(key, "Set to")
        share = f" ({100 * probability[name]:.0f} %)" if name in probability else ""
        buttons.append(
            f'<button data-key="{key}" data-clip="{clip_id}" '
            f'data-label="{escape(name)}"><kbd>{key}</kbd> {what}: {escape(name)}'
            f"{share}</button>"
        )
    return f'<div class="choices">{"".join(buttons)}</div>'


def _ranked(collection: Collection, row: int) -> list[tuple[str, float]]:
    place = collection.table.prediction_row(row)
    predictions = collection.predictions
    if place is None or predictions is None:
        return []
    names = [predictions.names[i] for i in predictions.ranked[place].tolist()]
    return list(zip(names, predictions.probabilities[place].tolist(), strict=True))


def _predicted(collection: Collection, row: int) -> Iterator[str]:
    ranked = _ranked(collection, row)
    if ranked:
        rows = [(name, f"{100 * probability:.1f} %") for name, probability in ranked]
        yield html_pieces.section(
            "Predicted", html_pieces.table(("class", "probability"), rows)
        )


def _history(collection: Collection, row: int) -> Iterator[str]:
    """Yields what the newest versions have of a clip, where there are several."""
    history = collection.history(row)
    shown = collection.version.manifest.version
    if len(history) > 1:
        rows = [
            (
                f"{entry.version} (this one)"
                if entry.version == shown
                else entry.version,
                entry.label or "not labelled" if entry.status else "not in it",
                entry.split,
                entry.status,
            )
            for entry in history
        ]
        head = ("version", "label", "split", "status")
        listed = html_pieces.table(head, rows)
        yield html_pieces.section("Its labels in the newest versions", listed)


def _around(collection: Collection, row: int, chosen: ClipFilter) -> str:
    """Returns links to the clips before and after in the list, and to the list."""
    rows = collection.rows(chosen)
    place = int(rows.searchsorted(row))
    links = []
    if 0 < place <= len(rows):
        links.append(
            _neighbour(collection, rows[place - 1], chosen, ("prev", "back (p)"))
        )
    after = place + (place < len(rows) and rows[place] == row)
    if after < len(rows):
        links.append(_neighbour(collection, rows[after], chosen, ("next", "on (n)")))
    up = layout.link("/", **chosen.query, begin=place)
    links.append(f'<a rel="up" href="{escape(up)}">the list (u)</a>')
    return f"<p>{' '.join(links)}</p>"


def _neighbour(
    collection: Collection, row: int, chosen: ClipFilter, words: tuple[str, str]
) -> str:
    href = layout.link("/clip", id=collection.table.clip_id(row), **chosen.query)
    return f'<a rel="{words[0]}" href="{escape(href)}">{words[1]}</a>'


def _player(collection: Collection, row: int) -> str:
    table = collection.table
    clip_id, num_frames = table.clip_id(row), int(table.num_frames[row])
    first = layout.link("/frame", id=clip_id, index=0)
    return (
        f'<div class="player" tabindex="0" role="group" aria-label="Player" '
        f'data-clip="{escape(clip_id)}" data-fps="{table.fps(row):g}" '
        f'data-frames="{num_frames}"><span class="picture"><img src="{escape(first)}" '
        'alt="the clip"></span><span class="soft">space plays and stops, arrows step: '
        f"<output>frame 0 of {num_frames}</output></span></div>"
    )


def _seen(clip: StoredClip, clip_id: str, label_id: int) -> str:
    """Returns the frames and crops of the reader's own views."""
    num_frames = len(clip.sizes)
    shape = {"height": clip.height, "width": clip.width, "label_id": label_id}
    rng = ClipRandom(_SEED, 0, clip_id)
    centre = CentreView().decide(num_frames, **shape, rng=rng)
    tested = "".join(_image(clip_id, i, clip, ()) for i in centre.frame_indices[:8])
    drawn = []
    for epoch in range(_NUM_EPOCHS):
        rng = ClipRandom(_SEED, epoch, clip_id)
        view = TrainView().decide(num_frames, **shape, rng=rng)
        crop = view.crops[0]
        box = (crop.left, crop.top, crop.width, crop.height)
        frames = "".join(_image(clip_id, i, clip, box) for i in view.frame_indices)
        drawn.append(
            f'<p class="soft">epoch {epoch}</p><div class="eight">{frames}</div>'
        )
    return html_pieces.section(
        "As TSM sees it",
        '<p class="soft">The eight frames of an evaluation:</p>'
        f'<div class="eight">{tested}</div>',
        html_pieces.details(
            f"What training with seed {_SEED} draws: frames, and the crop as a box",
            *drawn,
        ),
    )


def _image(clip_id: str, index: int, clip: StoredClip, box: Sequence[int]) -> str:
    """Returns a frame as a drawing, with a box on it (left, top, width, height)."""
    source = escape(layout.link("/frame", id=clip_id, index=index))
    crop = (
        '<rect class="crop" x="{}" y="{}" width="{}" height="{}"/>'.format(*box)
        if box
        else ""
    )
    return (
        f'<svg role="img" aria-label="frame {index}" '
        f'viewBox="0 0 {clip.width} {clip.height}"><image href="{source}" '
        f'width="{clip.width}" height="{clip.height}"/>{crop}</svg>'
    )


def _every_frame(clip_id: str, clip: StoredClip) -> str:
    images = "".join(
        f'<img loading="lazy" width="{clip.width}" height="{clip.height}" '
        f'src="{escape(layout.link("/frame", id=clip_id, index=i))}" alt="frame {i}">'
        for i in range(len(clip.sizes))
    )
    return f'<div class="frames">{images}</div>'
