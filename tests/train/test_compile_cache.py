"""Where compiled networks are kept."""

from train import compile_cache


def test_another_configuration_has_another_folder(tmp_path):
    """MindSpore would run what was compiled for another clip_gradient."""
    base = compile_cache.folder_of(tmp_path, {"clip_gradient": 20.0}, 1)
    assert base == compile_cache.folder_of(tmp_path, {"clip_gradient": 20.0}, 1)
    assert base.parent == tmp_path / "compile_cache"
    others = [
        compile_cache.folder_of(tmp_path, {"clip_gradient": 1.0}, 1),
        compile_cache.folder_of(tmp_path, {"clip_gradient": 20.0}, 2),
    ]
    assert len({base, *others}) == 3
