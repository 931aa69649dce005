select
    users.user_id as owner_id,
    users.user_name as owner_name,
    users.is_active,
    users.user_type,
    users.user_role_id,
    users.manager_id,
    managers.user_name as manager_name
from {{ ref('stg_salesforce__user') }} as users
left join {{ ref('stg_salesforce__user') }} as managers on users.manager_id = managers.user_id
where not users.is_deleted
