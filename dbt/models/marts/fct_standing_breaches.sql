with run as (
    select
        as_of,
        as_of_on
    from {{ ref('stg_control__run') }}
),

-- visits of one deal that breach one rule are one thing to mend
breaches as (
    select
        verdicts.definition_id,
        verdicts.definition_version,
        coalesce(verdicts.record_id, verdicts.row_key) as record_key,
        max(verdicts.record_id) as record_id,
        max(verdicts.owner_id) as owner_id,
        count(*) as n_rows,
        min(spells.first_seen_at) as first_seen_at,
        max(spells.first_seen_at) as newest_seen_at,
        max(spells.last_seen_at) as last_seen_at,
        -- as the worklist: told by the oldest of its rows
        max(case when spells.is_backlog then 1 else 0 end) as backlog_rows
    from {{ ref('stg_audit__verdict') }} as verdicts
    left join {{ ref('fct_breach_spells') }} as spells
        on
            verdicts.definition_id = spells.definition_id
            and verdicts.definition_version = spells.definition_version
            and verdicts.row_key = spells.row_key
            and spells.stands
    where verdicts.status = 'breached'
    group by verdicts.definition_id, verdicts.definition_version, coalesce(verdicts.record_id, verdicts.row_key)
),

-- a breach that came back after a decision is another one
decided as (
    select
        breaches.definition_id,
        breaches.record_key,
        max(case when decisions.action = 'assign' then decisions.decision_seq end) as assignment_seq,
        max(case when decisions.action <> 'assign' then decisions.decision_seq end) as state_seq
    from breaches
    inner join {{ ref('fct_decisions') }} as decisions
        on
            breaches.record_id = decisions.record_id
            and breaches.definition_id = decisions.definition_id
            and breaches.definition_version = decisions.definition_version
            and decisions.stands
            and (breaches.newest_seen_at is null or breaches.newest_seen_at <= decisions.seen_as_of)
    group by breaches.definition_id, breaches.record_key
),

joined as (
    select
        breaches.*,
        assignments.assigned_to,
        states.decision_seq,
        states.action,
        states.until_on,
        states.seen_as_of,
        states.decided_by,
        states.decided_at,
        states.why as decided_why,
        run.as_of,
        run.as_of_on,
        definitions.owner as definition_owner,
        lower(definitions.accountable) as accountable,
        definitions.accountable as accountable_role,
        owners.owner_name,
        owners.is_active,
        owners.manager_name
    from breaches
    cross join run
    inner join {{ ref('stg_control__definition') }} as definitions on breaches.definition_id = definitions.definition_id
    left join decided on breaches.definition_id = decided.definition_id and breaches.record_key = decided.record_key
    left join {{ ref('fct_decisions') }} as assignments on decided.assignment_seq = assignments.decision_seq
    left join {{ ref('fct_decisions') }} as states on decided.state_seq = states.decision_seq
    left join {{ ref('dim_owner') }} as owners on breaches.owner_id = owners.owner_id
)

select
    definition_id || ':' || record_key as breach_key,
    definition_id,
    definition_version,
    record_key,
    record_id,
    owner_id,
    cast(n_rows as bigint) as n_rows,
    first_seen_at,
    last_seen_at,
    {{ elapsed_days('first_seen_at', 'as_of') }} as days_known,
    case when backlog_rows > 0 then 'backlog' else 'new' end as age,
    case
        when action = 'snooze' and as_of_on < until_on then 'snoozed'
        when action = 'waive' and (until_on is null or as_of_on < until_on) then 'waived'
        when action = 'fixed' and as_of <= seen_as_of then 'said fixed'
        when action = 'fixed' then 'said fixed, still breached'
        when action = 'dispute' then 'disputed'
        else 'open'
    end as state,
    assigned_to,
    case
        when assigned_to is not null then assigned_to
        when action = 'dispute' then definition_owner
        when accountable like '%opportunity owner%' or accountable = 'owner'
            then coalesce(case when is_active is null or is_active then owner_name end, manager_name, definition_owner)
        when accountable like '%manager%' then coalesce(manager_name, definition_owner)
        else accountable_role
    end as who,
    until_on,
    decision_seq,
    decided_by,
    decided_at,
    decided_why
from joined
