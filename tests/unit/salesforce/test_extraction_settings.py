"""The settings that widen or narrow what is read: addresses, their key, custom objects."""

from __future__ import annotations

from pathlib import Path

import pytest

from dagster_project import settings
from dagster_project.errors import SettingsError

KEY = "canary-key-0123456789"


def _load(folder: Path, text: str = "", **environment: str) -> settings.Settings:
    home = folder / "home"
    home.mkdir(exist_ok=True)
    (home / "leanfunnel.yml").write_text(text, encoding="utf-8")
    return settings.load(home, environment=environment, dotenv=folder / "none.env")


def test_addresses_are_left_out_until_there_is_a_key(tmp_path: Path) -> None:
    assert not _load(tmp_path).addresses.landed
    assert _load(tmp_path, LEANFUNNEL_EMAIL_KEY=KEY).addresses.mark.startswith("hashed ")
    assert _load(tmp_path, "email_addresses: plain\n").addresses.mark == "plain"
    assert not _load(tmp_path, "email_addresses: none\n", LEANFUNNEL_EMAIL_KEY=KEY).addresses.landed


def test_the_key_may_come_from_a_file_and_is_never_shown(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY + "\n", encoding="utf-8")
    given = _load(tmp_path, LEANFUNNEL_EMAIL_KEY=KEY)
    read = _load(tmp_path, LEANFUNNEL_EMAIL_KEY_FILE=str(tmp_path / "key"))
    assert read.addresses.mark == given.addresses.mark
    assert KEY not in repr(given) + str(given) + given.model_dump_json()


def test_a_short_key_is_refused_without_repeating_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="fewer than 16 characters") as caught:
        _load(tmp_path, LEANFUNNEL_EMAIL_KEY="canary")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("email_addresses: hash\n", "'hashed', 'plain' or 'none'"),
        ("email_adresses: none\n", "Did you mean 'email_addresses'"),
        ("extra_objects: {Visit: [Date__c]}\n", "'Visit' is no custom object"),
        ("extra_objects: {Visit__c: []}\n", "'Visit__c' lists no fields"),
    ],
)
def test_a_wrong_value_is_told(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        _load(tmp_path, text)


def test_custom_objects_are_asked_for_beside_extra_fields(tmp_path: Path) -> None:
    text = "extra_fields: {Opportunity: [Region__c]}\nextra_objects: {Visit__c: [Held_On__c, Kind__c]}\n"
    wanted = {"Opportunity": ("Region__c",), "Visit__c": ("Held_On__c", "Kind__c")}
    loaded = _load(tmp_path, text)
    assert loaded.wanted_fields == wanted
    assert loaded.request().extra_fields == wanted
