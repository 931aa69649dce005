with won as (
    select
        count(*) as n_won,
        sum(case when last_customer_response_at is null then 1 else 0 end) as n_without
    from {{ ref('fct_opportunities') }}
    where is_won and not is_deleted
),

shares as (
    select
        coalesce(won.n_won, 0) as n_won,
        coalesce(won.n_without, 0) as n_without,
        run.measurable_share as limit_share,
        run.as_of
    from won
    cross join {{ ref('stg_control__run') }} as run
)

select
    'customer_response' as evidence,
    cast(n_won as bigint) as n_won,
    cast(n_without as bigint) as n_without,
    cast(n_without as double) / nullif(n_won, 0) as share_without,
    limit_share,
    n_won = 0 or n_without <= limit_share * n_won as is_measurable,
    case
        when n_won > 0 and n_without > limit_share * n_won
            then
                'won deals show no recorded customer response, so mail or meetings are probably kept outside the CRM ('
                || cast(n_without as {{ dbt.type_string() }}) || ' of ' || cast(n_won as {{ dbt.type_string() }})
                || '; at most ' || {{ in_words('100 * limit_share') }} || ' % is measurable)'
    end as cause,
    as_of
from shares
