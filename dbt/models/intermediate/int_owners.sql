with run as (
    select team from {{ ref('stg_control__run') }}
)

select
    users.user_id as owner_id,
    users.user_name as owner_name,
    users.is_active,
    users.user_type,
    users.user_role_id,
    users.manager_id,
    managers.user_name as manager_name,
    case run.team
        when 'manager' then users.manager_id
        when 'role' then users.user_role_id
        else nullif(trim(users.mapped_team), '')
    end as team_id,
    case run.team
        when 'manager' then managers.user_name
        when 'role' then roles.role_name
        else nullif(trim(users.mapped_team), '')
    end as team_name
from {{ ref('stg_salesforce__user') }} as users
cross join run
left join {{ ref('stg_salesforce__user') }} as managers on users.manager_id = managers.user_id
left join {{ ref('stg_salesforce__user_role') }} as roles on users.user_role_id = roles.user_role_id
where not users.is_deleted
