-- unknown amounts count as nothing in a sum of money and are counted apart; a change of amount that comes with the closing row
-- counts first, so that a win leaves the pipeline with the amount it was won at
with held as (
    select distinct scope_value as currency_code
    from {{ ref('fct_held_scopes') }}
    where scope = 'currency' and not is_overridden
),

changes as (
    select
        changes.change_id,
        changes.opportunity_id,
        changes.sales_process,
        changes.change_no,
        changes.changed_at,
        changes.changed_until_at,
        changes.is_ended_by_deletion,
        changes.stage_name,
        changes.stage_order,
        changes.standing,
        changes.amount,
        changes.currency_code,
        case when held.currency_code is null then changes.amount_corporate end as amount_corporate,
        changes.close_on,
        changes.is_start_imputed
    from {{ ref('int_opportunity_changes') }} as changes
    left join held on changes.currency_code = held.currency_code
),

compared as (
    select
        *,
        lag(standing) over deal as previous_standing,
        lag(stage_name) over deal as previous_stage_name,
        lag(stage_order) over deal as previous_stage_order,
        lag(amount) over deal as previous_amount,
        lag(currency_code) over deal as previous_currency_code,
        lag(amount_corporate) over deal as previous_amount_corporate,
        lag(close_on) over deal as previous_close_on
    from changes
    window deal as (partition by opportunity_id order by change_no)
),

came_or_left as (
    select
        *,
        changed_at as moved_at,
        case
            when standing = 'open' and previous_standing is null then 'new'
            when standing = 'open' and previous_standing = 'unmapped' then 'mapped'
            when standing = 'open' then 'reopened'
            when previous_standing = 'open' then standing
            when standing = 'won' then 'won_directly'
            else 'lost_directly'
        end as movement_kind,
        case when standing = 'open' then 1 when previous_standing = 'open' then -1 else 0 end as count_change
    from compared
    where
        standing is distinct from previous_standing
        and ('open' in (standing, coalesce(previous_standing, '')) or standing in ('won', 'lost'))
),

deleted as (
    select
        *,
        changed_until_at as moved_at,
        'deleted' as movement_kind,
        -1 as count_change
    from compared
    where is_ended_by_deletion and standing = 'open'
),

revised as (
    select
        *,
        changed_at as moved_at,
        case
            when previous_amount_corporate is null then 'amount_known'
            when amount_corporate is null then 'amount_unknown'
            when amount = previous_amount and coalesce(currency_code, '') = coalesce(previous_currency_code, '') then 'revalued'
            when amount_corporate > previous_amount_corporate then 'up'
            else 'down'
        end as movement_kind,
        0 as count_change
    from compared
    where previous_standing = 'open' and amount_corporate is distinct from previous_amount_corporate
),

staged as (
    select
        *,
        changed_at as moved_at,
        case
            when stage_order > previous_stage_order then 'advanced'
            when stage_order < previous_stage_order then 'back'
            else 'lateral'
        end as movement_kind,
        0 as count_change
    from compared
    where previous_standing = 'open' and standing = 'open' and stage_name <> previous_stage_name
),

redated as (
    select
        *,
        changed_at as moved_at,
        case when close_on > previous_close_on then 'pushed' else 'pulled_in' end as movement_kind,
        0 as count_change
    from compared
    where previous_standing = 'open' and standing = 'open' and close_on <> previous_close_on
),

moved as (
    select * from came_or_left
    union all
    select * from deleted
    union all
    select * from revised
    union all
    select * from staged
    union all
    select * from redated
)

select
    change_id || '-' || movement_kind as movement_key,
    opportunity_id,
    sales_process,
    change_no,
    moved_at,
    cast(date_trunc('week', moved_at) as date) as week_starts_on,
    movement_kind,
    previous_stage_name,
    stage_name,
    cast(count_change as integer) as count_change,
    cast(case
        when movement_kind in ('up', 'down', 'revalued', 'amount_known', 'amount_unknown')
            then coalesce(amount_corporate, 0) - coalesce(previous_amount_corporate, 0)
        else count_change * coalesce(amount_corporate, 0)
    end as decimal(18, 2)) as amount_change_corporate,
    cast(case
        when movement_kind = 'amount_known' then -1
        when movement_kind = 'amount_unknown' then 1
        when amount_corporate is null then count_change
        else 0
    end as integer) as without_amount_change,
    amount_corporate,
    case when movement_kind in ('pushed', 'pulled_in') then previous_close_on end as previous_close_on,
    close_on,
    case
        when movement_kind in ('pushed', 'pulled_in') then date_trunc('month', close_on) > date_trunc('month', previous_close_on)
    end as is_to_a_later_month,
    movement_kind <> 'deleted' and standing = 'open' as is_open_after,
    is_start_imputed
from moved
