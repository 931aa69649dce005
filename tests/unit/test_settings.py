from __future__ import annotations

from pathlib import Path

import pytest

from dagster_project import settings
from dagster_project.errors import SettingsError
from dagster_project.salesforce import auth

CLIENT = {
    "SALESFORCE_LOGIN_URL": "https://acme.my.salesforce.com",
    "SALESFORCE_CLIENT_ID": "id",
    "SALESFORCE_CLIENT_SECRET": "canary-secret",
}


def load(tmp_path: Path, environment: dict[str, str], dotenv: str = "") -> settings.Settings:
    (tmp_path / ".env").write_text(dotenv, encoding="utf-8")
    return settings.load(tmp_path / "home", environment=environment, dotenv=tmp_path / ".env")


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (CLIENT, auth.ClientCredentials),
        (
            {"SALESFORCE_CLIENT_ID": "id", "SALESFORCE_USERNAME": "a@b.c", "SALESFORCE_PRIVATE_KEY": "key"},
            auth.JwtBearer,
        ),
        (
            {"SALESFORCE_INSTANCE_URL": "https://acme.my.salesforce.com", "SALESFORCE_ACCESS_TOKEN": "t"},
            auth.AccessToken,
        ),
        (
            {"SALESFORCE_USERNAME": "a@b.c", "SALESFORCE_PASSWORD": "p", "SALESFORCE_SECURITY_TOKEN": "t"},
            auth.UsernamePassword,
        ),
    ],
)
def test_what_is_given_chooses_the_login(tmp_path: Path, given: dict[str, str], kind: type) -> None:
    assert isinstance(load(tmp_path, given).credentials(), kind)


def test_the_environment_wins_over_dotenv(tmp_path: Path) -> None:
    loaded = load(
        tmp_path,
        {"SALESFORCE_CLIENT_ID": "from-environment"},
        "SALESFORCE_CLIENT_ID=from-file\nSALESFORCE_CLIENT_SECRET=s\n",
    )
    assert loaded.login.client_id == "from-environment"
    assert loaded.login.client_secret is not None


def test_a_secret_may_lie_in_a_file_and_shows_nowhere(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("canary-secret\n", encoding="utf-8")
    loaded = load(
        tmp_path, {**CLIENT, "SALESFORCE_CLIENT_SECRET": "", "SALESFORCE_CLIENT_SECRET_FILE": str(tmp_path / "secret")}
    )
    assert "canary-secret" not in repr(loaded) + str(loaded) + repr(loaded.credentials()) + repr(loaded.request())
    assert loaded.login.client_secret is not None
    assert loaded.login.client_secret.get_secret_value() == "canary-secret"


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({}, "no Salesforce login is set"),
        ({"SALESFORCE_CLIENT_SECRET": "canary-secret"}, "lacks SALESFORCE_CLIENT_ID"),
        ({**CLIENT, "SALESFORCE_AUTH": "oauth"}, "SALESFORCE_AUTH"),
        ({**CLIENT, "SALESFORCE_API_VERSION": "sixty"}, "SALESFORCE_API_VERSION"),
        ({**CLIENT, "LEANFUNNEL_HOEM": "x"}, "Did you mean 'LEANFUNNEL_HOME'"),
        ({"SALESFORCE_CLIENT_SECRET_FILE": "/nowhere/at/all"}, "cannot be read"),
    ],
)
def test_a_login_that_cannot_work_says_what_lacks_and_no_secret(
    tmp_path: Path, environment: dict[str, str], told: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, environment).credentials()
    assert told in str(caught.value)
    assert "canary-secret" not in str(caught.value)


def test_a_misspelled_name_in_dotenv_offers_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="Did you mean 'SALESFORCE_CLIENT_ID'"):
        load(tmp_path, {}, "SALESFORCE_CLIENTID=x\n")


def test_the_shipped_definitions_hold_until_the_home_has_its_own(tmp_path: Path) -> None:
    assert load(tmp_path, CLIENT).definitions == settings.REPOSITORY / "expectations"
    (tmp_path / "home" / "expectations").mkdir(parents=True)
    assert load(tmp_path, CLIENT).definitions == tmp_path / "home" / "expectations"


def test_mapped_fields_are_asked_for_beside_the_extra_ones(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "leanfunnel.yml").write_text(
        "extra_fields: {Opportunity: [Region__c, Loss__c], Account: [Tier__c]}\n"
        "mapped_fields: {loss_reason: Opportunity.Loss__c, skip_reason: Opportunity.Skip__c}\n"
    )
    request = load(tmp_path, CLIENT).request()
    assert request.extra_fields == {"Opportunity": ("Region__c", "Loss__c"), "Account": ("Tier__c",)}
    assert request.mapped_fields == {"loss_reason": "Opportunity.Loss__c", "skip_reason": "Opportunity.Skip__c"}


def test_dimensions_are_mapped_fields_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "leanfunnel.yml").write_text("dimensions: [Region__c, Channel__c]\nteam: Department\n")
    assert load(tmp_path, CLIENT).request().mapped_fields == {
        "team": "User.Department",
        "dimension_1": "Opportunity.Region__c",
        "dimension_2": "Opportunity.Channel__c",
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("mapped_fields: {los_reason: Opportunity.Loss__c}", "Did you mean 'loss_reason'"),
        ("mapped_fields: {loss_reason: Loss__c}", "write Opportunity and a field's API name"),
        ("mapped_fields: {loss_reason: Account.Loss__c}", "write Opportunity and a field's API name"),
        ("mapped_fields: {loss_reason: Opportunity.}", "write Opportunity and a field's API name"),
        ("mapped_fields: [loss_reason]", "mapped_fields"),
        ("mapped_fields: {dimension_1: Opportunity.Region__c}", "dimensions: [Region__c]"),
        ("dimensions: [Opportunity.Region__c]", "write the API name of a field of Opportunity"),
        ("dimensions: [Region__c, Region__c]", "'Region__c' stands twice"),
        ("dimensions: [A__c, B__c, C__c, D__c, E__c]", "at most 4"),
        ("dimensions: {region: Region__c}", "dimensions"),
    ],
)
def test_a_mapping_that_cannot_hold_is_told(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "leanfunnel.yml").write_text(text)
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, CLIENT)
    assert told in str(caught.value)
    assert "leanfunnel.yml" in str(caught.value)
