select
    owner_id,
    owner_name,
    is_active,
    user_type,
    user_role_id,
    manager_id,
    manager_name,
    team_id,
    team_name
from {{ ref('int_owners') }}
