"""Settings: the only reader of the environment, `.env` and `leanfunnel.yml`. Typed; secrets are SecretStr.

Logins come from `SALESFORCE_*` (environment or `.env`; secrets also from a file named by `SALESFORCE_…_FILE`), places from
`LEANFUNNEL_*`, and what rev-ops decides (time zone, smallest sample, window) from `<home>/leanfunnel.yml`. No default here
holds a secret, and no error repeats one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from dagster_project.errors import SettingsError, nearest
from dagster_project.home import Home
from dagster_project.pipeline import Request
from dagster_project.salesforce import auth
from dagster_project.salesforce.budget import ROWS_A_WINDOW, Bounds
from dagster_project.salesforce.guards import Addresses
from dagster_project.salesforce.objects import DIMENSIONS, MAPPED_FIELDS, OBJECTS, TEAM

if TYPE_CHECKING:
    from dagster_project.alerts.receivers import Receiver
    from dagster_project.alerts.teller import Teller

REPOSITORY = Path(__file__).resolve().parent.parent
"""The checkout: `dbt/` and the shipped `expectations/` lie beside the package."""

_PLACES = {
    "LEANFUNNEL_HOME": "the folder of one org's files",
    "LEANFUNNEL_NO_SKIP": "tests only",
    "LEANFUNNEL_CONFORMED": "set by leanfunnel for dbt",
    "LEANFUNNEL_BUILDING": "set by leanfunnel for dbt",
    "LEANFUNNEL_MEMORY_LIMIT": "set by leanfunnel for dbt",
    "LEANFUNNEL_DBT_THREADS": "set by leanfunnel for dbt",
    "LEANFUNNEL_MART_THREADS": "set by leanfunnel for dbt",
    "LEANFUNNEL_EMAIL_KEY": "the key that e-mail addresses are hashed with",
    "LEANFUNNEL_EMAIL_KEY_FILE": "a file that holds it",
}
_RECEIVER_SECRETS = {
    "slack": "LEANFUNNEL_SLACK_WEBHOOK",
    "teams": "LEANFUNNEL_TEAMS_WEBHOOK",
    "email": "LEANFUNNEL_SMTP_URL",
}
_PLACES |= dict.fromkeys(_RECEIVER_SECRETS.values(), "where alerts go")
_PLACES |= {f"{name}_FILE": "a file that holds it" for name in _RECEIVER_SECRETS.values()}
_Model = TypeVar("_Model", bound=BaseModel)
_SHORTEST_KEY = 16
_NO_PATH = "*?[]%\\"
_SECRETS = ("client_secret", "password", "security_token", "private_key", "access_token")


class RunOptions(BaseModel):
    """What `leanfunnel.yml` may say. Every key is optional."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reporting_timezone: str | None = Field(None, description="IANA name; default: the org's own time zone")
    minimum_n: int = Field(20, ge=2, description="below this many observations a rate or a median says `too few`")
    conversion_days: int = Field(90, ge=1, le=1000, description="days within which an entry may convert")
    measurable_share: float = Field(
        0.20, ge=0, le=1, description="largest share of won deals without a customer response"
    )
    team: str = Field(
        "manager",
        description="whose team a user is in: the manager's, the role's, or a text field of User, as Department",
    )
    extra_fields: dict[str, list[str]] = Field(
        default_factory=dict, description="further fields by object, landed as they are: {Opportunity: [Region__c]}"
    )
    mapped_fields: dict[str, str] = Field(
        default_factory=dict,
        description="which field of the org's own holds what a definition needs: {loss_reason: Opportunity.Loss_Reason__c}",
    )
    dimensions: list[str] = Field(
        default_factory=list,
        max_length=len(DIMENSIONS),
        description="text fields or picklists of Opportunity by which flow is told apart too, at most four: [Region__c]",
    )
    extra_objects: dict[str, list[str]] = Field(
        default_factory=dict, description="custom objects with their fields, landed as they are: {Visit__c: [Date__c]}"
    )
    email_addresses: Literal["hashed", "plain", "none"] = Field(
        "hashed", description="how addresses land; hashed needs LEANFUNNEL_EMAIL_KEY, and leaves them out without it"
    )
    write_back: Literal["off", "object", "tasks"] = Field(
        "off",
        description="whether `leanfunnel writeback` may write the worklist to the org: as items of its own object, or as tasks",
    )
    reconcile_days: int = Field(7, ge=1, le=365, description="every so many days all Ids are compared with the org's")
    refresh_formulas_days: int = Field(
        7, ge=1, le=365, description="every so many days calculated fields are read anew"
    )
    alerts: list[Literal["slack", "teams", "email"]] = Field(
        default_factory=list,
        description="who is told of stops, new breaches, shifts and failures; and of the weekly digest",
    )
    email_from: str | None = Field(None, description="the sender of alerts by e-mail")
    email_to: list[str] = Field(default_factory=list, description="who gets alerts by e-mail, and the digest's counts")
    memory_limit: str = Field(
        Request.memory_limit,
        pattern=r"^[1-9][0-9]* ?(MB|GB|MiB|GiB)$",
        description="how much DuckDB may hold in memory, like 4GB; default: four fifths of the machine's",
    )
    keep_publications: int = Field(3, ge=1, le=100, description="how many publications are kept")
    api_calls_per_run: int | None = Field(
        None, ge=100, description="API requests that one run may send; it stops there and the next goes on"
    )
    api_share_of_day: float = Field(
        0.8, gt=0, le=1, description="a run stops once the org, by whomever, has used this share of its API requests"
    )
    rows_per_window: int = Field(
        ROWS_A_WINDOW, ge=1000, description="objects with more rows are read in windows, each landed by itself"
    )

    retention_days: dict[str, Annotated[int, Field(ge=1, le=36_500)]] = Field(
        default_factory=dict,
        description="for how many days an object's rows are kept after the org last touched them: {EmailMessage: 730}",
    )

    @model_validator(mode="after")
    def _known_objects(self) -> RunOptions:
        known = [*OBJECTS, *self.extra_objects]
        for name in self.retention_days:
            if name not in known:
                raise ValueError(f"retention_days: no object '{name}' is landed.{nearest(name, known)}")
        return self

    @field_validator("write_back", mode="before")
    @classmethod
    def _yaml_off(cls, value: object) -> object:
        # YAML reads a bare `off` as false
        return "off" if value is False else value

    @property
    def all_mapped_fields(self) -> dict[str, str]:
        """The mapped fields, with the field of User that says the team where one does, and the dimensions."""
        team = {} if self.team in ("manager", "role") else {TEAM: f"User.{self.team}"}
        own = {meaning: f"Opportunity.{name}" for meaning, name in zip(DIMENSIONS, self.dimensions, strict=False)}
        return {**self.mapped_fields, **team, **own}

    @field_validator("extra_objects")
    @classmethod
    def _custom_objects(cls, value: dict[str, list[str]]) -> dict[str, list[str]]:
        for name, fields in value.items():
            if not name.endswith("__c"):
                raise ValueError(f"'{name}' is no custom object: their API names end in __c")
            if not fields:
                raise ValueError(f"'{name}' lists no fields; write {{{name}: [Name]}}")
        return value

    @field_validator("reporting_timezone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                ZoneInfo(value)
            except (ZoneInfoNotFoundError, ValueError) as error:
                raise ValueError(f"'{value}' is no IANA time zone; write for example Europe/Berlin") from error
        return value

    @field_validator("team")
    @classmethod
    def _known_team(cls, value: str) -> str:
        if value not in ("manager", "role") and not value.isidentifier():
            raise ValueError(f"'{value}' is no team; write manager, role, or the API name of a field of User")
        return value

    @field_validator("dimensions")
    @classmethod
    def _fields_of_a_deal(cls, value: list[str]) -> list[str]:
        for name in value:
            if not name.isidentifier():
                raise ValueError(f"'{name}' is no field; write the API name of a field of Opportunity: [Region__c]")
            if value.count(name) > 1:
                raise ValueError(f"'{name}' stands twice")
        return value

    @field_validator("mapped_fields")
    @classmethod
    def _known_meaning(cls, value: dict[str, str]) -> dict[str, str]:
        for meaning, path in value.items():
            if meaning == TEAM:
                raise ValueError("the team is a setting of its own: team: Department")
            if meaning in DIMENSIONS:
                raise ValueError("dimensions are a setting of their own: dimensions: [Region__c]")
            if meaning not in MAPPED_FIELDS:
                known = [name for name in MAPPED_FIELDS if name not in (TEAM, *DIMENSIONS)]
                raise ValueError(f"nothing needs '{meaning}'.{nearest(meaning, known)} Known: {', '.join(known)}")
            wanted = MAPPED_FIELDS[meaning][0]
            name, _, field = path.partition(".")
            if name != wanted or not field.isidentifier():
                raise ValueError(f"{meaning} is '{path}'; write {wanted} and a field's API name: {wanted}.My_Field__c")
        return value


class SalesforceLogin(BaseModel):
    """How to log in. Which kind is chosen by `auth`, or by what is given."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    auth: Literal["client_credentials", "jwt", "access_token", "password"] | None = None
    login_url: str = "https://login.salesforce.com"
    client_id: str | None = None
    client_secret: SecretStr | None = None
    username: str | None = None
    password: SecretStr | None = None
    security_token: SecretStr | None = None
    private_key: SecretStr | None = None
    access_token: SecretStr | None = None
    instance_url: str | None = None
    api_version: str = Field("62.0", pattern=r"^\d{2}\.0$")


class Settings(BaseModel):
    """Everything a run needs from outside."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    home: Home
    login: SalesforceLogin
    options: RunOptions
    email_key: SecretStr | None = None
    slack_webhook: SecretStr | None = None
    teams_webhook: SecretStr | None = None
    smtp_url: SecretStr | None = None

    def receivers(self) -> tuple[Receiver, ...]:
        """Who is told, as `alerts` says. Raises SettingsError where one lacks its address."""
        from dagster_project.alerts.receivers import Email, Slack, Teams

        found: list[Receiver] = []
        options = self.options
        for kind, secret in (("slack", self.slack_webhook), ("teams", self.teams_webhook), ("email", self.smtp_url)):
            if kind not in options.alerts:
                continue
            name = _RECEIVER_SECRETS[kind]
            if secret is None:
                raise SettingsError(
                    f"alerts by {kind} lack their address.", where=name, todo="Set it (see .env.example), or take it out of `alerts`."
                )  # fmt: skip
            address = secret.get_secret_value()
            _check_address(name, address, mail=kind == "email")
            if kind == "email":
                if not options.email_from or not options.email_to:
                    raise SettingsError(
                        "alerts by email need email_from and email_to.", where=str(self.home.settings_file), todo="Write both."
                    )  # fmt: skip
                found.append(Email(address, options.email_from, tuple(options.email_to)))
            else:
                found.append(Slack(address) if kind == "slack" else Teams(address))
        return tuple(found)

    @property
    def addresses(self) -> Addresses:
        """How e-mail addresses land: hashed with the key, plain, or not at all."""
        return Addresses(self.options.email_addresses, self.email_key)

    @property
    def bounds(self) -> Bounds:
        """What a run may ask of the org."""
        options = self.options
        return Bounds(options.api_calls_per_run, options.api_share_of_day, options.rows_per_window)

    @property
    def wanted_fields(self) -> dict[str, tuple[str, ...]]:
        """Fields beyond the catalogue by object, those of custom objects too."""
        options = self.options
        return {name: tuple(fields) for name, fields in {**options.extra_fields, **options.extra_objects}.items()}

    @property
    def definitions(self) -> Path:
        """The org's own definitions where it has some, else those shipped."""
        return self.home.expectations if self.home.expectations.is_dir() else REPOSITORY / "expectations"

    @property
    def dbt_project(self) -> Path:
        """The dbt project shipped beside the package."""
        return REPOSITORY / "dbt"

    @property
    def teller(self) -> Teller | None:
        """Who tells the receivers; None where `alerts` names none. Raises SettingsError where an address is missing."""
        if not self.options.alerts:
            return None
        from dagster_project.alerts.teller import Teller

        return Teller(self.home, self.receivers())

    def request(
        self,
        *,
        as_of: datetime | None = None,
        known_at: datetime | None = None,
        from_landing: bool = False,
        rebuild: bool = False,
        reconcile: bool = False,
    ) -> Request:
        """What a run in this home is asked to do. The login is looked at only when a step needs it."""
        options = self.options
        return Request(
            home=self.home,
            dbt_project=self.dbt_project,
            definitions=self.definitions,
            shipped_definitions=REPOSITORY / "expectations",
            credentials=self.credentials,
            as_of=as_of,
            known_at=known_at,
            from_landing=from_landing,
            rebuild=rebuild,
            reporting_timezone=options.reporting_timezone,
            minimum_n=options.minimum_n,
            conversion_days=options.conversion_days,
            measurable_share=options.measurable_share,
            team=options.team,
            extra_fields=self.wanted_fields,
            mapped_fields=options.all_mapped_fields,
            addresses=self.addresses,
            reconcile_days=options.reconcile_days,
            refresh_formulas_days=options.refresh_formulas_days,
            reconcile=reconcile,
            bounds=self.bounds,
            keep_publications=options.keep_publications,
            memory_limit=options.memory_limit,
            teller=self.teller,
            retention_days=options.retention_days,
            api_version=self.login.api_version,
        )

    def credentials(self) -> auth.Credentials:
        """The login for the Salesforce client. Raises SettingsError, naming what is missing."""
        return _credentials(self.login)


def load(
    home: Path | None = None, environment: Mapping[str, str] | None = None, dotenv: Path | None = None
) -> Settings:
    """Settings from the environment, `.env` (the environment wins) and `<home>/leanfunnel.yml`.

    `home`, where given, wins over LEANFUNNEL_HOME. Raises SettingsError for anything unknown or malformed.
    """
    dotenv = Path(".env") if dotenv is None else dotenv
    values = {**_read_dotenv(dotenv), **(os.environ if environment is None else environment)}
    _refuse_unknown(values)
    place = home or Path(values.get("LEANFUNNEL_HOME") or "data")
    resolved = Home(_sound_place(place.expanduser().resolve()))
    return Settings(
        home=resolved,
        login=_login(values),
        options=read_options(resolved.settings_file),
        email_key=_email_key(values),
        **{name.removeprefix("LEANFUNNEL_").lower(): _secret(values, name) for name in _RECEIVER_SECRETS.values()},
    )


def _sound_place(place: Path) -> Path:
    """The path, where every library below takes it as it is written. Raises SettingsError."""
    bad = sorted({char for char in str(place) if char in _NO_PATH or not char.isprintable()})
    if bad:
        raise SettingsError(
            f"the path of the home holds {' '.join(map(repr, bad))}, which file libraries read as something else.",
            where=str(place),
            todo="Choose another folder by --home or LEANFUNNEL_HOME.",
        )
    try:
        place.exists()
    except OSError as error:
        raise SettingsError(
            f"the home cannot be there: {error.strerror}.",
            where=f"{str(place)[:80]}…",
            todo="Choose another folder by --home or LEANFUNNEL_HOME.",
        ) from error
    return place


def read_options(path: Path) -> RunOptions:
    """`leanfunnel.yml`, or the defaults where it is absent. Raises SettingsError with the key and what to write."""
    if not path.exists():
        return RunOptions()
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except UnicodeDecodeError as error:
        raise SettingsError("is not UTF-8 text.", where=str(path), todo="Save it as UTF-8.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise SettingsError(
            f"is not valid YAML: {getattr(error, 'problem', None) or 'cannot be read'}.",
            where=f"{path}{line}",
            todo="Mend that line; a setting reads `name: value`.",
        ) from error
    if not isinstance(raw, dict):
        raise SettingsError("holds no settings.", where=str(path), todo="Write `name: value`, one a line.")
    unknown = [str(key) for key in raw if key not in RunOptions.model_fields]
    if unknown:
        known = RunOptions.model_fields
        hints = " ".join(f"Unknown setting '{key}'.{nearest(key, known)}" for key in unknown)
        raise SettingsError(hints, where=str(path), todo=f"Known: {', '.join(known)}.")
    return _validated(RunOptions, raw, where=str(path))


def _secret(values: Mapping[str, str], name: str) -> SecretStr | None:
    """A secret from the environment, or from the file that it names; None where it is not set."""
    file = values.get(f"{name}_FILE")
    text = values.get(name) or (_secret_file(f"{name}_FILE", file) if file else "")
    return SecretStr(text) if text else None


def _check_address(name: str, address: str, *, mail: bool) -> None:
    """Raises SettingsError, without the address, where it is none or would send in the clear to another machine."""
    from dagster_project.alerts.receivers import is_local

    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    known = ("smtp", "smtps") if mail else ("https", "http")
    if not host or parts.scheme not in known:
        wanted = "smtps://user:password@host:465" if mail else "https://…"
        raise SettingsError("is no address of that kind.", where=name, todo=f"Write {wanted}.")
    if parts.scheme == "http" and not is_local(host):
        raise SettingsError("would be sent in the clear.", where=name, todo="Use the https address.")


def _email_key(values: Mapping[str, str]) -> SecretStr | None:
    name = "LEANFUNNEL_EMAIL_KEY"
    secret = _secret(values, name)
    key = secret.get_secret_value() if secret else ""
    if key and len(key) < _SHORTEST_KEY:
        raise SettingsError(
            f"the key has fewer than {_SHORTEST_KEY} characters, so addresses could be guessed from their hashes.",
            where=name,
            todo="Make one, for example with `openssl rand -hex 32`, and keep it: another key gives other hashes.",
        )
    return secret


def _secret_file(name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError("cannot be read.", where=f"{name}={path}", todo="Name a readable text file.") from error


def _login(values: Mapping[str, str]) -> SalesforceLogin:
    given: dict[str, Any] = {}
    for field in SalesforceLogin.model_fields:
        name = f"SALESFORCE_{field.upper()}"
        if values.get(name):
            given[field] = values[name]
        elif field in _SECRETS and values.get(f"{name}_FILE"):
            given[field] = _secret_file(f"{name}_FILE", values[f"{name}_FILE"])
    return _validated(SalesforceLogin, given, where="environment", prefix="SALESFORCE_")


def _credentials(login: SalesforceLogin) -> auth.Credentials:
    kind = login.auth
    if kind is None:
        if login.access_token:
            kind = "access_token"
        elif login.private_key:
            kind = "jwt"
        elif login.client_secret and not login.password:
            kind = "client_credentials"
        elif login.password:
            kind = "password"
        else:
            raise SettingsError(
                "no Salesforce login is set.",
                where="environment",
                todo="Set SALESFORCE_LOGIN_URL, SALESFORCE_CLIENT_ID and SALESFORCE_CLIENT_SECRET (or another login: "
                "see .env.example), or try `leanfunnel demo`.",
            )
    needed = {
        "client_credentials": ("login_url", "client_id", "client_secret"),
        "jwt": ("login_url", "client_id", "username", "private_key"),
        "access_token": ("instance_url", "access_token"),
        "password": ("login_url", "username", "password"),
    }[kind]
    missing = [f"SALESFORCE_{name.upper()}" for name in needed if not getattr(login, name)]
    if missing:
        raise SettingsError(
            f"the login by {kind} lacks {', '.join(missing)}.", where="environment", todo="Set it (see .env.example)."
        )

    def secret(name: str) -> str:
        value = getattr(login, name)
        return value.get_secret_value() if value else ""

    if kind == "client_credentials":
        return auth.ClientCredentials(login.login_url, login.client_id or "", secret("client_secret"))
    if kind == "jwt":
        return auth.JwtBearer(login.login_url, login.client_id or "", login.username or "", secret("private_key"))
    if kind == "access_token":
        return auth.AccessToken(login.instance_url or "", secret("access_token"))
    return auth.UsernamePassword(login.login_url, login.username or "", secret("password"), secret("security_token"))


def _refuse_unknown(values: Mapping[str, str]) -> None:
    fields = [f"SALESFORCE_{field.upper()}" for field in SalesforceLogin.model_fields]
    fields += [f"SALESFORCE_{field.upper()}_FILE" for field in _SECRETS]
    known = {*fields, *_PLACES}
    for name in values:
        if name.startswith("LEANFUNNEL_") and name not in known:
            raise SettingsError(
                f"unknown setting {name}.{nearest(name, known)}", where="environment", todo="See .env.example."
            )


def _read_dotenv(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    from dotenv import dotenv_values  # not needed where there is no such file

    values = {key: value for key, value in dotenv_values(path, interpolate=False).items() if value}
    known = {f"SALESFORCE_{field.upper()}" for field in SalesforceLogin.model_fields}
    known |= {f"SALESFORCE_{field.upper()}_FILE" for field in _SECRETS} | set(_PLACES)
    for name in values:
        if name.startswith(("SALESFORCE_", "LEANFUNNEL_")) and name not in known:
            raise SettingsError(f"unknown setting {name}.{nearest(name, known)}", where=str(path))
    return values


def _validated(model: type[_Model], raw: Mapping[str, Any], *, where: str, prefix: str = "") -> _Model:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        told = []
        for problem in error.errors(include_input=False, include_url=False):
            place = ".".join(str(part) for part in problem["loc"])
            place = f"{prefix}{place.upper()}" if prefix else place
            told.append(f"{place}: {problem['msg'].removeprefix('Value error, ')}.")
        raise SettingsError(" ".join(told), where=where, todo="Correct the value.") from None
