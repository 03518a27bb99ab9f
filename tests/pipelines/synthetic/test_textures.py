import re

import numpy as np
import pytest

from pipelines.synthetic import textures
from pipelines.synthetic.textures import COLOURS, PATTERNS, SHAPES, Appearance


def _rng(seed: int = 3) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def _appearance(**changes: str) -> Appearance:
    fields = {
        "shape": "disc",
        "pattern": "striped",
        "colour": "red",
        "second_colour": "white",
        "backdrop_colour": "green",
        "second_backdrop_colour": "teal",
    }
    return Appearance(**(fields | changes))


def test_appearance_names_object_and_backdrop():
    appearance = _appearance()

    assert appearance.object_name == "striped red disc"
    assert appearance.backdrop_name == "green and teal wall"


def test_draw_appearance_gives_four_different_colours():
    for seed in range(50):
        look = textures.draw_appearance(_rng(seed))
        colours = {
            look.colour,
            look.second_colour,
            look.backdrop_colour,
            look.second_backdrop_colour,
        }
        assert len(colours) == 4
        assert colours <= set(COLOURS)


def test_draw_appearance_varies_and_follows_its_seed():
    looks = [textures.draw_appearance(_rng(seed)) for seed in range(80)]

    assert looks[5] == textures.draw_appearance(_rng(5))
    assert {look.shape for look in looks} == set(SHAPES)
    assert {look.pattern for look in looks} == set(PATTERNS)
    assert {look.colour for look in looks} == set(COLOURS)
    assert len(set(looks)) > 70


@pytest.mark.parametrize("pattern", list(PATTERNS))
@pytest.mark.parametrize("size", [(160, 160), (190, 130), (342, 782)])
def test_patterns_fill_the_unit_range(pattern, size):
    field = PATTERNS[pattern](_rng(), *size)

    assert field.shape == size
    assert field.dtype == np.float32
    assert 0.0 <= field.min() < 0.1
    assert 0.9 < field.max() <= 1.0


@pytest.mark.parametrize("shape", list(SHAPES))
def test_shapes_fit_the_sprite(shape):
    for seed in range(10):
        outline = SHAPES[shape](_rng(seed))
        from_centre = np.linalg.norm(outline - textures.SPRITE_PX / 2, axis=1)
        assert from_centre.max() == pytest.approx(textures.SHAPE_RADIUS_PX)


@pytest.mark.parametrize("pattern", list(PATTERNS))
@pytest.mark.parametrize("shape", list(SHAPES))
def test_object_sprite_is_an_opaque_textured_shape(shape, pattern):
    look = _appearance(shape=shape, pattern=pattern)

    sprite = textures.draw_object_sprite(_rng(), look)

    side = textures.SPRITE_PX
    alpha = sprite[:, :, 3]
    assert sprite.shape == (side, side, 4)
    assert alpha[side // 2, side // 2] == 255
    assert alpha[0].max() == alpha[:, 0].max() == 0
    assert 0.2 < (alpha == 255).mean() < 0.7
    assert sprite[alpha == 255][:, :3].std() > 10  # a texture, not a flat colour
    assert (sprite[:, :, :3].max(axis=2) <= alpha.astype(int) + 1).all()


def test_object_sprite_shows_mostly_its_named_colour():
    red = _appearance(colour="red", second_colour="white", pattern="marbled")

    sprite = textures.draw_object_sprite(_rng(), red)

    blue, green, reds = sprite[sprite[:, :, 3] == 255][:, :3].mean(axis=0)
    assert reds > 1.3 * green
    assert reds > 1.3 * blue


def test_panel_sprite_fills_its_rectangle():
    panel = textures.draw_panel_sprite(_rng(), _appearance(), 190, 130)

    assert panel.shape == (190, 130, 4)
    assert (panel[5:-5, 5:-5, 3] == 255).all()


@pytest.mark.parametrize("seed", range(5))
def test_background_is_textured_and_follows_its_seed(seed):
    look = textures.draw_appearance(_rng(seed))

    canvas = textures.draw_background(_rng(seed), look, 300, 500)
    again = textures.draw_background(_rng(seed), look, 300, 500)
    other = textures.draw_background(_rng(seed + 100), look, 300, 500)

    assert canvas.shape == (300, 500, 3)
    assert canvas.dtype == np.uint8
    assert canvas.std(axis=(0, 1)).max() > 4
    np.testing.assert_array_equal(canvas, again)
    assert (canvas != other).any()


def test_grain_is_fine_even_and_follows_its_generator():
    grey = np.full((120, 200, 3), 100, np.uint8)

    grained = textures.with_grain(_rng(), grey)

    assert grained.dtype == np.uint8
    assert grained.mean() == pytest.approx(99.5, abs=0.5)  # whole levels, cut off
    assert grained.std() == pytest.approx(textures.GRAIN_LEVELS, rel=0.05)
    np.testing.assert_array_equal(grained, textures.with_grain(_rng(), grey))
    assert (grained != textures.with_grain(_rng(4), grey)).any()


def test_names_are_plain_lower_case_words():
    for name in (*COLOURS, *PATTERNS, *SHAPES):
        assert re.fullmatch(r"[a-z]+", name)
