select
    account_id,
    surviving_account_id,
    account_name,
    account_type,
    industry,
    owner_id,
    created_at,
    is_deleted
from {{ ref('int_accounts') }}
