"""Whose team a user is in, by each kind of the setting `team`."""

from __future__ import annotations

from typing import Any

import pytest

ANN, BOB, EVE = (f"00500000000000000{n}" for n in (1, 2, 3))
ROLE = "00E000000000000001"
TEAMS = {
    "manager": {"Ann": (BOB, "Bob"), "Bob": (None, None), "Eve": (None, None)},
    "role": {"Ann": (ROLE, "Sales North"), "Bob": (None, None), "Eve": (ROLE, "Sales North")},
    # a field of User, as Department: blanks are no team
    "Department": {"Ann": ("Field", "Field"), "Bob": (None, None), "Eve": (None, None)},
}


@pytest.mark.parametrize("setting", TEAMS)
def test_a_team_is_the_manager_s_the_role_s_or_a_field_s(setting: str, bench: Any) -> None:
    stamp = bench.deal(1)["SystemModstamp"]
    bench.land("UserRole", [{"Id": ROLE, "Name": "Sales North", "SystemModstamp": stamp}])
    bench.land("User", [
        {"Id": key, "Name": name, "IsActive": True, "ManagerId": manager, "UserRoleId": role, "SystemModstamp": stamp}
        for key, name, manager, role in ((ANN, "Ann", BOB, ROLE), (BOB, "Bob", None, None), (EVE, "Eve", None, ROLE))
    ])  # fmt: skip
    with bench.connect() as connection:
        connection.execute(
            """update landing."user" set mapped_team = case "Name" when 'Ann' then ' Field ' when 'Bob' then ' ' end"""
        )
    bench.control(team=setting)
    bench.dbt.build("conform", only="int_owners", tests=False)
    rows = bench.rows("select owner_name, team_id, team_name from intermediate.int_owners")
    assert {row["owner_name"]: (row["team_id"], row["team_name"]) for row in rows} == TEAMS[setting]
