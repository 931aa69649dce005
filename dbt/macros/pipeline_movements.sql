{#- What moved the open pipeline, of deals whose states follow each other; the readings of it, reported and evidenced, stand in models.

`compared` names a CTE with one row per deal and state: opportunity_id, sales_process, change_no, starts_at, ends_at, left_as (what it
is called where a deal leaves the pipeline at ends_at and no state follows, else NULL), stage_name, stage_order, standing (open, won,
lost, unmapped), amount, currency_code, amount_corporate, close_on, is_start_imputed, and previous_standing, previous_stage_name,
previous_stage_order, previous_amount, previous_currency_code, previous_amount_corporate, previous_close_on. `key_parts` are the
columns that name a state; `held_currencies` stands before. One state may move a deal in several ways: it is asked once for each, in one
pass. Money is the amount in corporate currency that may be told.
-#}
{% macro pipeline_movements(compared, key_parts) -%}
select
    concat(
        {%- for part in key_parts %}cast({{ part }} as {{ dbt.type_string() }}), '-', {% endfor %}movement_kind
    ) as movement_key,
    opportunity_id,
    sales_process,
    change_no,
    moved_at,
    cast(date_trunc('week', moved_at) as date) as week_starts_on,
    movement_kind,
    previous_stage_name,
    stage_name,
    count_change,
    cast(case
        when way = 'revised' then coalesce(money, 0) - coalesce(previous_money, 0)
        else count_change * coalesce(money, 0)
    end as decimal(18, 2)) as amount_change_corporate,
    cast(case
        when movement_kind = 'amount_known' then -1
        when movement_kind = 'amount_unknown' then 1
        when money is null then count_change
        else 0
    end as integer) as without_amount_change,
    money as amount_corporate,
    case when way = 'redated' then previous_close_on end as previous_close_on,
    close_on,
    case when way = 'redated' then date_trunc('month', close_on) > date_trunc('month', previous_close_on) end as is_to_a_later_month,
    way <> 'left' and standing = 'open' as is_open_after,
    is_start_imputed
from (
    select
        judged.*,
        ways.way,
        case when ways.way = 'left' then judged.ends_at else judged.starts_at end as moved_at,
        cast(case
            when ways.way = 'left' then -1
            when ways.way <> 'came or left' then 0
            when judged.standing = 'open' then 1
            when judged.previous_standing = 'open' then -1
            else 0
        end as integer) as count_change,
        case ways.way
            when 'came or left' then judged.as_came_or_left
            when 'left' then judged.as_left
            when 'revised' then judged.as_revised
            when 'staged' then judged.as_staged
            else judged.as_redated
        end as movement_kind
    from (
        select
            *,
            case
                when standing = previous_standing then null
                when standing = 'open' and previous_standing is null then 'new'
                when standing = 'open' and previous_standing = 'unmapped' then 'mapped'
                when standing = 'open' then 'reopened'
                when previous_standing = 'open' then standing
                when standing = 'won' then 'won_directly'
                when standing = 'lost' then 'lost_directly'
            end as as_came_or_left,
            case when standing = 'open' then left_as end as as_left,
            case
                when coalesce(previous_standing, '') <> 'open' then null
                when money = previous_money then null
                when money is null and previous_money is null then null
                when previous_money is null then 'amount_known'
                when money is null then 'amount_unknown'
                when amount = previous_amount and coalesce(currency_code, '') = coalesce(previous_currency_code, '') then 'revalued'
                when money > previous_money then 'up'
                else 'down'
            end as as_revised,
            -- among open stages
            case
                when coalesce(previous_standing, '') <> 'open' or standing <> 'open' or stage_name = previous_stage_name then null
                when stage_order > previous_stage_order then 'advanced'
                when stage_order < previous_stage_order then 'back'
                else 'lateral'
            end as as_staged,
            case
                when coalesce(previous_standing, '') <> 'open' or standing <> 'open' or close_on = previous_close_on then null
                when close_on > previous_close_on then 'pushed'
                when close_on < previous_close_on then 'pulled_in'
            end as as_redated
        from (
            select
                compared.*,
                case when held.currency_code is null then compared.amount_corporate end as money,
                case when previously_held.currency_code is null then compared.previous_amount_corporate end as previous_money
            from {{ compared }} as compared
            left join held on compared.currency_code = held.currency_code
            left join held as previously_held on compared.previous_currency_code = previously_held.currency_code
        ) as priced
    ) as judged
    cross join (
        {%- for way in ['came or left', 'left', 'revised', 'staged', 'redated'] %}
        select '{{ way }}' as way{{ ' union all' if not loop.last }}
        {%- endfor %}
    ) as ways
) as moved
where movement_kind is not null
{%- endmacro %}
