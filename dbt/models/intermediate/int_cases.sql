with run as (
    select as_of from {{ ref('stg_control__run') }}
)

select
    cases.case_id,
    -- an account that was merged away goes on as its survivor
    coalesce(merged_away.master_id, cases.account_id) as account_id,
    cases.created_at,
    case when cases.closed_at <= run.as_of then greatest(cases.closed_at, cases.created_at) end as closed_at
from {{ ref('stg_salesforce__case') }} as cases
cross join run
left join {{ ref('int_merged_records') }} as merged_away on cases.account_id = merged_away.loser_id
where cases.created_at <= run.as_of and not coalesce(cases.is_deleted and cases.last_modified_at <= run.as_of, false)
