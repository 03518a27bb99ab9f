import pytest

from tests import predictions_by_hand


@pytest.fixture(scope="session")
def predictions_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("predictions") / "predictions.parquet"
    predictions_by_hand.write_predictions(path)
    return path
