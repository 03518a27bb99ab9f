"""Which credentials count, and what is said of those that cannot be used."""

import os

import pytest

from mindrecord_io.storage import aws_credentials, object_store, range_store


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}, ("k", "s", None)),
        ({}, ("default key", "default%secret", None)),
        ({"AWS_PROFILE": "work"}, ("work key", "work secret", "token")),
        ({"AWS_PROFILE": "settings"}, ("its key", "its secret", None)),
        ({"AWS_PROFILE": "north"}, (None, None, None)),
        ({"AWS_PROFILE": "default"}, ("default key", "default%secret", None)),
        ({"AWS_PROFILE": "empty"}, (None, None, None)),
        ({"AWS_SHARED_CREDENTIALS_FILE": "/no/file"}, (None, None, None)),
    ],
)
def test_credentials_are_those_of_the_environment_or_of_a_profile(
    tmp_path, variables, expected
):
    file = tmp_path / "credentials"
    file.write_text(
        "[default]\naws_access_key_id = default key\n"
        "aws_secret_access_key = default%secret\n"
        "[work]\naws_access_key_id=work key\naws_secret_access_key=work secret\n"
        "aws_session_token=token\n[empty]\n"
    )
    (tmp_path / "config").write_text(
        "[default]\nregion = north\n[profile north]\nregion = north\n"
        "[profile work]\naws_access_key_id=another\n[profile settings]\n"
        "aws_access_key_id=its key\naws_secret_access_key=its secret\n"
        "s3 =\n  max_concurrent_requests = 20\n"
    )
    environment = {
        "AWS_SHARED_CREDENTIALS_FILE": str(file),
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        **variables,
    }
    names = ("access_key_id", "secret_access_key", "session_token")
    found = aws_credentials.found(environment)
    assert tuple(map(found.get, names)) == expected


@pytest.mark.parametrize(
    ("profile", "section"),
    [("", "default"), ("default", "default"), ("work", "profile work")],
)
@pytest.mark.parametrize("way", ["sso_session", "role_arn", "credential_process"])
def test_a_profile_with_another_way_to_a_key_is_refused_with_what_to_do(
    tmp_path, profile, section, way
):
    config = tmp_path / "config"
    config.write_text(f"[{section}]\nregion = north\n{way} = s3cret\n")
    environment = {
        "AWS_SHARED_CREDENTIALS_FILE": "/no/file",
        "AWS_CONFIG_FILE": str(config),
        "AWS_PROFILE": profile,
        "AWS_REGION": "north",
    }
    said = f"profile {profile or 'default'} has {way} instead of a key: .* export-cred"
    with pytest.raises(object_store.StorageError, match=said) as caught:
        range_store.open_range_store("s3://clips/a", environment)
    assert "s3cret" not in str(caught.value)


def test_the_role_of_a_pod_counts_where_no_profile_has_a_key(tmp_path):
    (tmp_path / "config").write_text("[default]\nsso_session = x\n")
    environment = {
        "AWS_SHARED_CREDENTIALS_FILE": "/no/file",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/token",
    }
    assert aws_credentials.found(environment) == {}


@pytest.mark.parametrize(
    "text", ["aws_secret_access_key = s3cret\n", "[a]\ns3cret\n", "[a]\nk = \udcff\n"]
)
def test_a_damaged_file_of_profiles_is_named_and_not_shown(tmp_path, text):
    file = tmp_path / "credentials"
    file.write_bytes(os.fsencode(text))
    environment = {"AWS_SHARED_CREDENTIALS_FILE": str(file), "AWS_REGION": "north"}
    with pytest.raises(object_store.StorageError, match="not a file of AWS") as caught:
        range_store.open_range_store("s3://clips/a", environment)
    assert str(file) in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "credentials"])
def test_a_profile_that_is_nowhere_is_an_error(tmp_path, name):
    (tmp_path / "credentials").write_text("[default]\naws_access_key_id = k\n")
    (tmp_path / "config").write_text("[profile work]\n")
    environment = {
        "AWS_SHARED_CREDENTIALS_FILE": f"{tmp_path}/{name}",
        "AWS_CONFIG_FILE": f"{tmp_path}/config",
        "AWS_PROFILE": "wrok",
        "AWS_REGION": "north",
    }
    said = rf"AWS_PROFILE=wrok is neither in {tmp_path}/{name} nor in {tmp_path}/config"
    with pytest.raises(object_store.StorageError, match=said):
        range_store.open_range_store("s3://clips/a", environment)
