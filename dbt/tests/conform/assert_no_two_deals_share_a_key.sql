-- Models tell deals apart by a checksum of the Id where they have millions of rows of them: it must be as good as the Id.
{{ config(tags=['conform']) }}

select
    {{ deal_key('opportunity_id') }} as deal_key,
    count(*) as n_deals
from {{ ref('stg_salesforce__opportunity') }}
group by {{ deal_key('opportunity_id') }}
having count(*) > 1
