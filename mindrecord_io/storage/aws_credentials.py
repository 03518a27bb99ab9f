"""Finds the credentials of an S3 server where other programs look for them.

That is, in this order: the environment, a profile in ~/.aws/credentials, the same in
~/.aws/config, the role of the machine.
"""

import configparser
import os
from collections.abc import Mapping

__all__ = ["found"]

_KEYS = {
    "access_key_id": "aws_access_key_id",
    "secret_access_key": "aws_secret_access_key",
    "session_token": "aws_session_token",
}
"""Credentials by the names of obstore and those of a profile's files."""

_OTHER_WAYS = ("sso_session", "sso_start_url", "role_arn", "credential_process")
"""What a profile may have instead of a key, and only Amazon's programs can follow."""

Profile = Mapping[str, str]


def found(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the key of the environment or of a profile, by obstore's names.

    Nothing where there is none: then the role of the machine, or of the pod, counts.

    Raises:
      ValueError: the profile that is named is nowhere, one has another way to a key,
        or a file of them is damaged.
    """
    if environment.get("AWS_ACCESS_KEY_ID"):
        return _named({key: environment.get(n.upper()) for key, n in _KEYS.items()})
    name, there = environment.get("AWS_PROFILE") or "default", []
    keys = _file("AWS_SHARED_CREDENTIALS_FILE", "credentials", environment)
    settings = _file("AWS_CONFIG_FILE", "config", environment)
    section = name if name == "default" else f"profile {name}"
    for path, title in ((keys, name), (settings, section)):
        profile = _profiles(path).get(title)
        if profile is None:
            continue
        if _KEYS["access_key_id"] in profile:
            return _named({key: profile.get(n) for key, n in _KEYS.items()})
        there.append(profile)
    if environment.get("AWS_PROFILE") and not there:
        raise ValueError(f"AWS_PROFILE={name} is neither in {keys} nor in {settings}")
    if environment.get("AWS_WEB_IDENTITY_TOKEN_FILE"):  # as in a pod of Kubernetes
        return {}
    for way in _OTHER_WAYS:
        if any(way in profile for profile in there):
            raise ValueError(
                f"the AWS profile {name} has {way} instead of a key: put "
                "one into the environment, as by: eval "
                '"$(aws configure export-credentials --format env)"'
            )
    return {}


def _named(values: Mapping[str, str | None]) -> dict[str, str]:
    return {key: value for key, value in values.items() if value}


def _file(variable: str, name: str, environment: Mapping[str, str]) -> str:
    default = os.path.expanduser(f"~/.aws/{name}")  # noqa: PTH111 - without a home
    return environment.get(variable, default)


def _profiles(path: str) -> Mapping[str, Profile]:
    """Returns the values by name of each profile in a file, none without the file."""
    profiles = configparser.ConfigParser(interpolation=None, default_section="")
    try:
        profiles.read(path)
    except (configparser.Error, UnicodeDecodeError) as error:  # may show a secret
        raise ValueError(f"{path}: not a file of AWS profiles") from error
    return {name: dict(values) for name, values in profiles.items()}
