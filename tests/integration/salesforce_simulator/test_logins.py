from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from simple_salesforce.exceptions import SalesforceAuthenticationFailed
from simple_salesforce.login import SalesforceLogin

from salesforce_simulator.org import Org
from salesforce_simulator.server import serve
from salesforce_simulator.service import Options, Service

LIMITS = "/services/data/v62.0/limits"


class _ToSimulator(requests.adapters.HTTPAdapter):
    """Sends what is meant for a login host to the simulator."""

    def __init__(self, base_url: str) -> None:
        super().__init__()
        self.base_url = base_url

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        path = (request.url or "").partition("://")[2].partition("/")[2]
        request.url = f"{self.base_url}/{path}"
        return super().send(request, *args, **kwargs)


def _session(service: Service) -> requests.Session:
    session = requests.Session()
    session.mount("https://", _ToSimulator(service.base_url))
    return session


def _works(service: Service, token: str) -> bool:
    found = requests.get(service.base_url + LIMITS, headers={"Authorization": f"Bearer {token}"}, timeout=20)
    return found.status_code == 200


def test_simple_salesforce_logs_in_by_soap(service: Service) -> None:
    o = service.options
    token, host = SalesforceLogin(
        session=_session(service), username=o.username, password=o.password, security_token=o.security_token
    )
    assert host == service.base_url.removeprefix("http://")
    assert _works(service, token)
    with pytest.raises(SalesforceAuthenticationFailed, match="INVALID_LOGIN"):
        SalesforceLogin(session=_session(service), username=o.username, password="wrong", security_token="x")


def test_simple_salesforce_logs_in_by_client_credentials(service: Service) -> None:
    token, _ = SalesforceLogin(
        session=_session(service),
        consumer_key=service.options.client_id,
        consumer_secret=service.options.client_secret,
        domain="acme.my",
    )
    assert _works(service, token)


def test_soap_refuses_what_is_no_login(service: Service) -> None:
    url = f"{service.base_url}/services/Soap/u/62.0"
    broken = requests.post(url, data="<not xml", timeout=20)
    assert (broken.status_code, "INVALID_XML" in broken.text) == (500, True)
    other = requests.post(url, data="<a><query/></a>", timeout=20)
    assert (other.status_code, "only login" in other.text) == (500, True)


def test_a_refresh_token_opens_a_session_and_revoke_ends_it(service: Service) -> None:
    url = f"{service.base_url}/services/oauth2/"
    form = {"grant_type": "refresh_token", "client_id": service.options.client_id}
    good = requests.post(
        url + "token", data={**form, "refresh_token": service.options.refresh_token}, timeout=20
    ).json()
    assert _works(service, good["access_token"])
    bad = requests.post(url + "token", data={**form, "refresh_token": "stale"}, timeout=20)
    assert bad.json() == {"error": "invalid_grant", "error_description": "expired access/refresh token"}
    assert requests.post(url + "revoke", data={"token": good["access_token"]}, timeout=20).status_code == 200
    assert not _works(service, good["access_token"])


def test_user_info_names_org_and_user(http: requests.Session) -> None:
    info = http.get("/services/oauth2/userinfo").json()
    assert info["organization_id"].startswith("00D")
    assert info["user_id"].startswith("005")


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _assertion(key: rsa.RSAPrivateKey, claims: dict[str, Any], algorithm: str = "RS256") -> str:
    parts = [json.dumps(p).encode() for p in ({"alg": algorithm}, claims)]
    signed = b".".join(base64.urlsafe_b64encode(p).rstrip(b"=") for p in parts)
    signature = key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def test_jwt_bearer_is_checked_by_the_registered_key(make_org: Callable[[], Org], key: rsa.RSAPrivateKey) -> None:
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    with serve(make_org(), options=Options(jwt_public_key=pem.decode())) as service:
        claims = {"iss": service.options.client_id, "sub": service.options.username, "exp": int(time.time()) + 300}

        def login(assertion: str) -> dict[str, Any]:
            form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
            return requests.post(f"{service.base_url}/services/oauth2/token", data=form, timeout=20).json()

        assert _works(service, login(_assertion(key, claims))["access_token"])
        for bad in (
            _assertion(stranger, claims),
            _assertion(key, claims, "none"),
            _assertion(key, claims | {"exp": 1}),
            _assertion(key, claims | {"sub": "somebody@example.com"}),
            _assertion(key, claims)[:-8],
            "rubbish",
        ):
            assert login(bad)["error"] == "invalid_grant"
        assert login(_assertion(key, claims | {"iss": "x"}))["error"] == "invalid_client_id"


def test_jwt_bearer_without_a_registered_key_is_refused(service: Service, key: rsa.RSAPrivateKey) -> None:
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": _assertion(key, {})}
    refused = requests.post(f"{service.base_url}/services/oauth2/token", data=form, timeout=20)
    assert refused.json()["error"] == "invalid_grant"


def test_sessions_end_by_the_orgs_clock_where_asked_for(make_org: Callable[[], Org]) -> None:
    with serve(make_org(), options=Options(session_minutes=120, control=True, api_bursts=750)) as service:
        token = service.auth.open_session()
        assert _works(service, token)
        service.org.set_now(service.org.now + timedelta(minutes=121))
        assert not _works(service, token)
        headers = {"Authorization": f"Bearer {service.auth.open_session()}"}
        found = requests.get(service.base_url + LIMITS, headers=headers, timeout=20)
        assert found.headers["Sforce-Limit-Info"] == "api-usage=3/100000; api-bursts=1/750"
