{#- What moved the open pipeline, of deals whose states follow each other; the readings of it, reported and evidenced, stand in models.

`compared` names a CTE with one row per deal and state: opportunity_id, sales_process, change_no, starts_at, ends_at, left_as (what it
is called where a deal leaves the pipeline at ends_at and no state follows, else NULL), stage_name, stage_order, standing (open, won,
lost, unmapped), amount, currency_code, amount_corporate, close_on, is_start_imputed, and previous_standing, previous_stage_name,
previous_stage_order, previous_amount, previous_currency_code, previous_amount_corporate, previous_close_on. `key_parts` are the
columns that name a state. One state may move a deal in several ways: it is asked once for each, in one pass.
-#}
{% macro pipeline_movements(compared, key_parts) -%}
select
    {%- for part in key_parts %}
    cast({{ part }} as {{ dbt.type_string() }}) || '-' ||
    {%- endfor %} movement_kind as movement_key,
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
    way <> 'left' and standing = 'open' as is_open_after,
    is_start_imputed
from (
    select
        *,
        case when way = 'left' then ends_at else starts_at end as moved_at,
        case
            when way = 'left' then -1
            when way <> 'came or left' then 0
            when standing = 'open' then 1
            when previous_standing = 'open' then -1
            else 0
        end as count_change
    from (
        select
            compared.*,
            ways.way,
            case ways.way
                when 'came or left'
                    then case
                        when compared.standing = compared.previous_standing then null
                        when compared.standing = 'open' and compared.previous_standing is null then 'new'
                        when compared.standing = 'open' and compared.previous_standing = 'unmapped' then 'mapped'
                        when compared.standing = 'open' then 'reopened'
                        when compared.previous_standing = 'open' then compared.standing
                        when compared.standing = 'won' then 'won_directly'
                        when compared.standing = 'lost' then 'lost_directly'
                    end
                when 'left' then case when compared.standing = 'open' then compared.left_as end
                when 'revised'
                    then case
                        when coalesce(compared.previous_standing, '') <> 'open' then null
                        when compared.amount_corporate = compared.previous_amount_corporate then null
                        when compared.amount_corporate is null and compared.previous_amount_corporate is null then null
                        when compared.previous_amount_corporate is null then 'amount_known'
                        when compared.amount_corporate is null then 'amount_unknown'
                        when
                            compared.amount = compared.previous_amount
                            and coalesce(compared.currency_code, '') = coalesce(compared.previous_currency_code, '')
                            then 'revalued'
                        when compared.amount_corporate > compared.previous_amount_corporate then 'up'
                        else 'down'
                    end
                -- among open stages
                when 'staged'
                    then case
                        when
                            coalesce(compared.previous_standing, '') <> 'open'
                            or compared.standing <> 'open'
                            or compared.stage_name = compared.previous_stage_name
                            then null
                        when compared.stage_order > compared.previous_stage_order then 'advanced'
                        when compared.stage_order < compared.previous_stage_order then 'back'
                        else 'lateral'
                    end
                else case
                    when
                        coalesce(compared.previous_standing, '') <> 'open'
                        or compared.standing <> 'open'
                        or coalesce(compared.close_on = compared.previous_close_on, true)
                        then null
                    when compared.close_on > compared.previous_close_on then 'pushed'
                    else 'pulled_in'
                end
            end as movement_kind
        from {{ compared }} as compared
        cross join (
            {%- for way in ['came or left', 'left', 'revised', 'staged', 'redated'] %}
            select '{{ way }}' as way{{ ' union all' if not loop.last }}
            {%- endfor %}
        ) as ways
    ) as asked
    where movement_kind is not null
) as moved
{%- endmacro %}
