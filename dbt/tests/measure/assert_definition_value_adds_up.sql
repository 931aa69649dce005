{{ config(tags=['measure']) }}
-- every deal that a definition asked is immature, unknown, or on one side, resolved or not
select * from {{ ref('rpt_definition_value') }}
where
    n_entered <> n_immature + n_unknown + n_met + met_unresolved + n_breached + breached_unresolved
    or (reads not in ('too few', 'not configured') and not difference between difference_lower and difference_upper)
