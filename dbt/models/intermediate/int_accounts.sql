-- a merge deletes the loser and names the master: deals of the loser's belong to the survivor
with accounts as (
    select * from {{ ref('stg_salesforce__account') }}
),

run as (
    select as_of from {{ ref('stg_control__run') }}
)

select
    accounts.account_id,
    coalesce(masters.account_id, accounts.account_id) as surviving_account_id,
    coalesce(masters.account_name, accounts.account_name) as account_name,
    coalesce(masters.account_type, accounts.account_type) as account_type,
    coalesce(masters.industry, accounts.industry) as industry,
    coalesce(masters.owner_id, accounts.owner_id) as owner_id,
    accounts.created_at,
    accounts.is_deleted
from accounts
cross join run
left join {{ ref('int_merged_records') }} as merges on accounts.account_id = merges.loser_id
left join accounts as masters on merges.master_id = masters.account_id
where accounts.created_at <= run.as_of
