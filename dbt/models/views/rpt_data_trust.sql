with run as (
    select
        as_of,
        minimum_n
    from {{ ref('dim_run') }}
),

places as (
    select distinct
        object,
        field,
        definition_id
    from {{ ref('dim_definition_field') }}
    union
    select distinct
        object,
        'all' as field,
        definition_id
    from {{ ref('dim_definition_field') }}
),

judged as (
    select
        places.object,
        coalesce(places.field, 'the record') as field,
        count(*) as n_definitions,
        sum(case when definitions.state = 'measured' then 1 else 0 end) as n_measured,
        coalesce(sum(definitions.met), 0) as n_met,
        coalesce(sum(definitions.breached), 0) as n_breached,
        coalesce(sum(definitions.unknown), 0) as n_unknown,
        {{ names_in_order('places.definition_id') }} as definition_ids
    from places
    inner join {{ ref('dim_definition') }} as definitions on places.definition_id = definitions.definition_id
    -- a signal is a hint, no verdict on the record
    where definitions.kind <> 'signal'
    group by places.object, coalesce(places.field, 'the record')
),

-- strata are drawn alike and differ in size: each weighs as many records as it was drawn from
strata as (
    select
        object,
        stratum,
        sum(stratum_size) as size,
        sum(n_right) as n_right,
        sum(n_looked) as n_looked,
        sum(n_unclear) as n_unclear
    from (
        select
            object,
            stratum,
            week_starts_on,
            max(stratum_size) as stratum_size,
            sum(case when verdict = 'right' then 1 else 0 end) as n_right,
            sum(case when verdict in ('right', 'wrong') then 1 else 0 end) as n_looked,
            sum(case when verdict = 'cannot tell' then 1 else 0 end) as n_unclear
        from {{ ref('fct_audit_sample') }}
        group by object, stratum, week_starts_on
    ) as weeks
    group by object, stratum
),

samples as (
    select
        object,
        sum(n_looked) as n_looked,
        sum(n_unclear) as n_unclear,
        {{ ordered_sum('cast(size as double) * n_right / nullif(n_looked, 0)', 'stratum') }}
        / nullif(sum(case when n_looked > 0 then size end), 0) as right_share
    from strata
    group by object
),

-- a sample speaks of records as a whole: an object may have one and no definition
put_together as (
    select
        coalesce(judged.object, samples.object) as object,
        coalesce(judged.field, 'all') as field,
        coalesce(judged.n_definitions, 0) as n_definitions,
        coalesce(judged.n_measured, 0) as n_measured,
        coalesce(judged.n_met, 0) as n_met,
        coalesce(judged.n_breached, 0) as n_breached,
        coalesce(judged.n_unknown, 0) as n_unknown,
        judged.definition_ids,
        coalesce(samples.n_looked, 0) as n_looked,
        coalesce(samples.n_unclear, 0) as n_unclear,
        case when samples.n_looked >= run.minimum_n then samples.right_share end as sample_right_share,
        run.minimum_n,
        run.as_of
    from judged
    full outer join samples on judged.object = samples.object and judged.field = 'all'
    cross join run
),

scored as (
    select
        *,
        case when n_met + n_breached + n_unknown >= minimum_n then cast(n_met + n_breached as double) / (n_met + n_breached + n_unknown) end
            as completeness,
        case when n_met + n_breached >= minimum_n then cast(n_met as double) / (n_met + n_breached) end as validity
    from put_together
)

select
    object || ': ' || field as trust_key,
    object,
    field,
    cast(n_definitions as bigint) as n_definitions,
    cast(n_measured as bigint) as n_definitions_measured,
    definition_ids,
    cast(n_met + n_breached as bigint) as n_judged,
    cast(n_met as bigint) as n_met,
    cast(n_breached as bigint) as n_breached,
    cast(n_unknown as bigint) as n_unknown,
    completeness,
    validity,
    cast(n_looked as bigint) as n_looked_at,
    cast(n_unclear as bigint) as n_cannot_tell,
    sample_right_share,
    completeness * validity * coalesce(sample_right_share, 1.0) as trust_score,
    case
        when n_definitions > 0 and n_measured = 0 then 'not measured'
        when completeness * validity is null then 'too few'
        when field <> 'all' then 'definitions only'
        when sample_right_share is null then 'definitions only: too few records looked at'
        else 'definitions and sample'
    end as reads,
    as_of
from scored
