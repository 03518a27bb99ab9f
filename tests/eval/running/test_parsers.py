"""The parsers repeat choices and defaults of modules that they must not load."""

import argparse
import dataclasses

import pytest

from eval import config, export, infer
from eval.running import parsers
from model import weight_files, weight_names


def actions(parser):
    return {action.dest: action for action in parser._actions}


@pytest.mark.parametrize(
    ("parser", "options"),
    [
        (parsers.infer_parser(), infer.InferOptions),
        (parsers.export_parser(), export.ExportOptions),
    ],
)
def test_defaults_are_those_of_the_options(parser, options):
    defaults = {f.name: f.default for f in dataclasses.fields(options)}
    repeated = {
        name: action.default
        for name, action in actions(parser).items()
        if not action.required and action.default != argparse.SUPPRESS
    }
    assert repeated.items() <= defaults.items()


def test_choices_are_those_of_the_modules_that_do_the_work():
    device = actions(parsers.infer_parser())["device_target"]
    assert tuple(device.choices) == tuple(config.DEVICE_TARGETS)
    fresh = actions(parsers.import_weights_parser())["fresh"]
    assert set(fresh.choices) == set(weight_names.FRESH_PARTS)


def test_kinds_of_files_are_those_of_the_modules_that_do_the_work():
    weights = actions(parsers.import_weights_parser())["weights"]
    assert weights.help.partition(": ")[2].split(", ") == list(weight_files.READERS)
    output = actions(parsers.export_parser())["output"]
    assert output.help.partition(": ")[2].split(", ") == list(export.EXPORTERS)
