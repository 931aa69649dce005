-- The eight core metrics by hand, in plain DuckDB SQL, for `bench.mart`. Frozen: it changes only where a metric's definition does, and
-- never to move a ratio.
--
-- The eight are those that were measured when the product was designed:
--   1 stage visits, as reported and as defined        plain.visit         mart.fct_stage_visits
--   2 stage conversion within 90 days, with Wilson     plain.conversion    mart.rpt_stage_conversion
--   3 age of work in progress and its percentile       plain.aging         mart.rpt_wip_aging
--   4 touches: whose turn it is and since when         plain.aging         mart.rpt_wip_aging
--   5 work in progress per owner, CV and Gini          plain.owner_load    mart.rpt_owner_load
--   6 XmR charts of twelve weekly flow metrics         plain.flow          mart.rpt_flow_health
--   7 Kaplan-Meier and Aalen-Johansen, with intervals  plain.duration,     mart.rpt_stage_duration,
--                                                      plain.conversion    mart.rpt_stage_conversion
--   8 cumulative flow by day                           plain.cumulative    mart.rpt_cumulative_flow
--
-- It starts from what dbt's staging models leave in `conformed` and from the verdicts of the audit, and writes the columns that are
-- compared. It is written for the generated large org alone: every deal has a history, no experiment and no change of definitions
-- splits a chart, no currency is held back, no activity is left out by a term of the organisation's. The comparison would tell.

CREATE SCHEMA plain;

CREATE MACRO days_between(a, b) AS (epoch_us(b) - epoch_us(a)) / 86400000000.0::DOUBLE;

CREATE MACRO wilson(k, n, side) AS greatest(0.0, least(1.0,
  (k + 1.959963984540054 ^ 2 / 2 + side * 1.959963984540054 * sqrt(k::DOUBLE * (n - k) / nullif(n, 0) + 1.959963984540054 ^ 2 / 4))
  / (nullif(n, 0) + 1.959963984540054 ^ 2)));

CREATE MACRO log_log(f, v, side) AS CASE WHEN f > 0 AND f < 1
  THEN f ^ exp(side * 1.959963984540054 * sqrt(greatest(v, 0)) / (f * ln(f))) END;

CREATE TABLE plain.stage AS
SELECT row_number() OVER (ORDER BY sales_process, stage_name) AS stage_no, sales_process, stage_name, stage_order, step_rank,
  is_closed, is_won, is_active, is_active AND NOT is_closed AS is_current_open,
  min(stage_order) FILTER (is_active AND NOT is_closed) OVER (PARTITION BY sales_process) AS first_open_order,
  coalesce(count(*) FILTER (is_active AND NOT is_closed) OVER (
    PARTITION BY sales_process ORDER BY stage_order ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS open_before
FROM conformed.staging.stg_control__stage_map;

CREATE TABLE plain.deal AS
SELECT o.opportunity_id, coalesce(r.developer_name, 'default') AS sales_process, o.stage_name, o.owner_id, o.amount, o.close_on,
  o.currency_code, o.last_modified_at, o.is_deleted,
  CASE WHEN o.is_deleted AND o.last_modified_at <= run.as_of THEN o.last_modified_at END AS deleted_at,
  s.is_closed, s.is_won, o.last_stage_change_at, o.created_at
FROM conformed.staging.stg_salesforce__opportunity AS o
CROSS JOIN conformed.staging.stg_control__run AS run
LEFT JOIN conformed.staging.stg_salesforce__record_type AS r USING (record_type_id)
LEFT JOIN plain.stage AS s ON s.sales_process = coalesce(r.developer_name, 'default') AND s.stage_name = o.stage_name
WHERE o.created_at <= run.as_of;

-- Every row of the history in order, with what it was before: visits and movements both start here.
CREATE TABLE plain.history AS
SELECT h.opportunity_id, d.sales_process, h.stage_name, h.created_at AS moment,
  row_number() OVER w AS change_no, lag(h.stage_name) OVER w AS previous_stage,
  h.amount, coalesce(h.currency_code, d.currency_code) AS currency_code, h.close_on
FROM conformed.staging.stg_salesforce__opportunity_history AS h
JOIN plain.deal AS d USING (opportunity_id)
CROSS JOIN conformed.staging.stg_control__run AS run
WHERE h.stage_name IS NOT NULL AND h.created_at <= run.as_of AND h._extracted_at <= run.known_at AND (NOT h.is_deleted OR d.is_deleted)
WINDOW w AS (PARTITION BY h.opportunity_id ORDER BY h.created_at, coalesce(h.system_modstamp_at, h.created_at), h.opportunity_history_id);

-- 1. Visits of a timeline (one row per deal and stage that it comes to, in order of change_no; NULL: in no stage).
CREATE MACRO visits(timeline) AS TABLE
WITH linked AS (
  SELECT t.opportunity_id, t.sales_process, t.stage_name, t.moment, t.change_no, t.gap_kind, t.ended_at,
    s.stage_no, s.stage_order, s.is_closed, s.is_won, s.first_open_order, s.open_before,
    lead(t.moment) OVER w AS next_at, lead(t.change_no) OVER w AS next_no, lead(t.stage_name) OVER w AS next_stage,
    lead(s.stage_order) OVER w AS next_order, lead(s.is_closed) OVER w AS next_closed, lead(s.is_won) OVER w AS next_won,
    lead(t.gap_kind) OVER w AS next_gap, lag(s.is_closed) OVER w AS last_closed, lag(s.is_current_open) OVER w AS last_open,
    lag(s.open_before) OVER w AS last_open_before, lag(t.gap_kind) OVER w AS last_gap
  FROM query_table(timeline) AS t LEFT JOIN plain.stage AS s USING (sales_process, stage_name)
  WINDOW w AS (PARTITION BY t.opportunity_id ORDER BY t.change_no)
), bounded AS (
  SELECT *,
    CASE WHEN next_no IS NOT NULL THEN next_at WHEN ended_at IS NOT NULL THEN greatest(ended_at, moment) END AS exited_at,
    CASE
      WHEN next_no IS NULL THEN CASE WHEN ended_at IS NULL THEN 'open' ELSE 'deleted' END
      WHEN is_closed THEN 'reopened'
      WHEN next_stage IS NULL THEN next_gap
      WHEN next_won THEN 'won'
      WHEN next_closed THEN 'lost'
      WHEN next_order > stage_order THEN 'advanced'
      WHEN next_order < stage_order THEN 'back'
      ELSE 'lateral' END AS exit_kind,
    CASE WHEN last_closed OR (last_gap = 'won_without_evidence' AND NOT coalesce(is_closed, false)) THEN 1 ELSE 0 END AS starts_cycle,
    CASE WHEN is_closed AND NOT is_won THEN 0
      ELSE coalesce(greatest(open_before - last_open_before - CASE WHEN last_open THEN 1 ELSE 0 END, 0), 0) END AS stages_skipped
  FROM linked
), numbered AS (
  SELECT b.*, days_between(b.moment, coalesce(b.exited_at, run.as_of)) AS days_in_stage,
    1 + sum(starts_cycle) OVER w2 AS cycle_no, count(stage_name) OVER w2 AS visit_seq
  FROM bounded AS b CROSS JOIN conformed.staging.stg_control__run AS run
  WINDOW w2 AS (PARTITION BY b.opportunity_id ORDER BY b.change_no ROWS UNBOUNDED PRECEDING)
)
SELECT opportunity_id, sales_process, stage_name, stage_no, stage_order, visit_seq::INTEGER AS visit_seq, cycle_no::INTEGER AS cycle_no,
  row_number() OVER w3::INTEGER AS visit_no, is_closed, is_won, moment AS entered_at, exited_at, days_in_stage,
  sum(days_in_stage) OVER w3 AS cumulative_days_in_stage, exit_kind, next_stage, stages_skipped::INTEGER AS stages_skipped,
  visit_seq = 1 AND coalesce(stage_order > first_open_order, false) AS is_left_truncated
FROM numbered WHERE stage_name IS NOT NULL
WINDOW w3 AS (PARTITION BY opportunity_id, stage_name ORDER BY change_no ROWS UNBOUNDED PRECEDING);

CREATE TEMP TABLE reported_timeline AS
SELECT h.opportunity_id, h.sales_process, h.stage_name, h.moment, h.change_no, NULL::VARCHAR AS gap_kind,
  CASE WHEN d.deleted_at IS NOT NULL THEN greatest(d.deleted_at, max(h.moment) OVER (PARTITION BY h.opportunity_id)) END AS ended_at
FROM plain.history AS h JOIN plain.deal AS d USING (opportunity_id)
QUALIFY h.change_no = 1 OR h.stage_name IS DISTINCT FROM h.previous_stage;

CREATE TABLE plain.visit AS SELECT 'reported' AS basis, * FROM visits('reported_timeline');

-- What our people and theirs did: the last of each, per deal, and the first meeting held.
CREATE TABLE plain.touch AS
WITH outside AS (
  SELECT DISTINCT event_id FROM conformed.staging.stg_salesforce__event_relation
  WHERE NOT is_deleted AND substr(relation_id, 1, 3) IN ('003', '00Q') AND coalesce(response_status, '') <> 'Declined'
), activity AS (
  SELECT t.what_id AS related_id, coalesce(t.completed_at, t.activity_on::TIMESTAMP, t.last_modified_at) AS moment,
    t.call_type = 'Outbound' OR (coalesce(t.call_type, '') NOT IN ('Inbound', 'Outbound') AND t.task_subtype = 'ListEmail') AS is_out,
    false AS is_meeting, false AS is_mail_in
  FROM conformed.staging.stg_salesforce__task AS t
  WHERE t.is_closed AND NOT t.is_deleted AND t.task_id NOT IN (
    SELECT activity_id FROM conformed.staging.stg_salesforce__email_message WHERE activity_id IS NOT NULL)
  UNION ALL
  SELECT e.what_id, coalesce(e.ended_at, e.started_at, e.activity_on::TIMESTAMP), o.event_id IS NOT NULL,
    o.event_id IS NOT NULL AND e.ended_at IS NOT NULL, false
  FROM conformed.staging.stg_salesforce__event AS e LEFT JOIN outside AS o USING (event_id) WHERE NOT e.is_deleted
  UNION ALL
  SELECT coalesce(related_to_id, parent_id), coalesce(message_at, created_at), NOT is_incoming, false,
    coalesce(is_incoming AND NOT coalesce(is_bounced, false), false)
  FROM conformed.staging.stg_salesforce__email_message WHERE NOT is_deleted AND coalesce(email_status, '') <> '5'
)
SELECT related_id AS opportunity_id, min(moment) FILTER (is_meeting) AS first_meeting_at,
  max(moment) FILTER (is_meeting OR is_mail_in) AS last_response_at, max(moment) FILTER (is_out AND NOT is_meeting) AS last_touch_at
FROM activity CROSS JOIN conformed.staging.stg_control__run AS run
WHERE substr(related_id, 1, 3) = '006' AND moment <= run.as_of
GROUP BY 1;

-- As defined: a stage counts from when what its rules ask was seen (R08 from rank 2, R10 from rank 3, R07 from rank 4).
CREATE TABLE plain.segment AS
WITH roles AS (
  SELECT opportunity_id, min(created_at) AS moment FROM conformed.staging.stg_salesforce__opportunity_contact_role
  CROSS JOIN conformed.staging.stg_control__run AS run
  WHERE created_at <= run.as_of AND (NOT is_deleted OR last_modified_at > run.as_of) GROUP BY 1
), amounts AS (
  SELECT opportunity_id, min(created_at) AS moment FROM conformed.staging.stg_salesforce__opportunity_history
  CROSS JOIN conformed.staging.stg_control__run AS run
  WHERE created_at <= run.as_of AND _extracted_at <= run.known_at AND amount > 0 GROUP BY 1
), met AS (
  SELECT d.opportunity_id, coalesce(roles.moment, TIMESTAMP '9999-12-31') AS met_2,
    coalesce(touch.first_meeting_at, TIMESTAMP '9999-12-31') AS met_3,
    coalesce(amounts.moment, CASE WHEN d.amount > 0 AND d.last_modified_at <= run.as_of THEN d.last_modified_at END, TIMESTAMP '9999-12-31')
      AS met_4
  FROM plain.deal AS d CROSS JOIN conformed.staging.stg_control__run AS run
  LEFT JOIN roles USING (opportunity_id) LEFT JOIN amounts USING (opportunity_id) LEFT JOIN plain.touch USING (opportunity_id)
), chain AS (
  SELECT opportunity_id, met_2, greatest(met_2, met_3) AS met_3, greatest(met_2, met_3, met_4) AS met_4 FROM met
)
SELECT opportunity_id, blocked_rank, from_at, until_at FROM (
  SELECT opportunity_id, 2 AS blocked_rank, TIMESTAMP '0001-01-01' AS from_at, met_2 AS until_at FROM chain
  UNION ALL SELECT opportunity_id, 3, met_2, met_3 FROM chain
  UNION ALL SELECT opportunity_id, 4, met_3, met_4 FROM chain
  UNION ALL SELECT opportunity_id, 999, met_4, TIMESTAMP '9999-12-31' FROM chain
) WHERE from_at < until_at;

CREATE TABLE plain.evidenced AS
WITH ranks AS (
  SELECT *, max(step_rank) FILTER (is_won OR NOT is_closed) OVER (PARTITION BY sales_process ORDER BY stage_order ROWS UNBOUNDED PRECEDING)
    AS required_rank FROM plain.stage
), blocks AS (SELECT unnest([2, 3, 4, 999]) AS blocked_rank)
SELECT s.sales_process, s.stage_name, b.blocked_rank,
  CASE WHEN s.is_won AND s.required_rank >= b.blocked_rank THEN NULL WHEN s.is_closed THEN s.stage_name
    ELSE (SELECT max_by(c.stage_name, c.stage_order) FROM ranks AS c
          WHERE c.sales_process = s.sales_process AND c.stage_order <= s.stage_order AND c.required_rank < b.blocked_rank
            AND NOT c.is_closed AND (c.is_active OR c.stage_name = s.stage_name)) END AS evidenced_stage,
  CASE WHEN s.is_won THEN 'won_without_evidence' ELSE 'lateral' END AS gap_kind
FROM ranks AS s CROSS JOIN blocks AS b;

CREATE TEMP TABLE defined_timeline AS
WITH raw AS (
  SELECT v.opportunity_id, v.sales_process, e.evidenced_stage AS stage_name, greatest(v.entered_at, g.from_at) AS moment,
    v.visit_seq, g.blocked_rank, CASE WHEN e.evidenced_stage IS NULL THEN coalesce(e.gap_kind, 'lateral') END AS gap_kind,
    max(v.exited_at) FILTER (v.exit_kind = 'deleted') OVER (PARTITION BY v.opportunity_id) AS ended_at
  FROM plain.visit AS v
  JOIN plain.segment AS g ON g.opportunity_id = v.opportunity_id AND v.entered_at < g.until_at
    AND (coalesce(v.exited_at, TIMESTAMP '9999-12-31') > g.from_at OR v.entered_at >= g.from_at)
  LEFT JOIN plain.evidenced AS e
    ON e.sales_process = v.sales_process AND e.stage_name = v.stage_name AND e.blocked_rank = g.blocked_rank
  WHERE v.opportunity_id NOT IN (
    SELECT record_id FROM conformed.audit.verdict
    WHERE kind = 'integrity' AND mode = 'enforce' AND status = 'breached' AND record_id IS NOT NULL)
), ordered AS (
  SELECT *, row_number() OVER w AS change_no, lag(stage_name) OVER w AS previous_stage FROM raw
  WINDOW w AS (PARTITION BY opportunity_id ORDER BY moment, visit_seq, blocked_rank)
)
SELECT * EXCLUDE (visit_seq, blocked_rank, previous_stage) FROM ordered
WHERE change_no = 1 OR stage_name IS DISTINCT FROM previous_stage;

INSERT INTO plain.visit SELECT 'defined', * FROM visits('defined_timeline');
DROP TABLE reported_timeline;
DROP TABLE defined_timeline;

-- 2 and 7. First entries of a cohort: naive rates within the days asked, and Aalen-Johansen with the Aalen variance.
CREATE TEMP TABLE entry AS
SELECT 2 * v.stage_no + CASE v.basis WHEN 'defined' THEN 1 ELSE 0 END AS line_no, cohorts.cohort_no, v.days_in_stage AS days, v.exit_kind,
  v.is_left_truncated, days_between(v.entered_at, run.as_of) >= run.conversion_days AS is_mature,
  v.days_in_stage <= run.conversion_days AS is_within
FROM plain.visit AS v CROSS JOIN conformed.staging.stg_control__run AS run
CROSS JOIN LATERAL (SELECT unnest([0, 10 * year(v.entered_at) + quarter(v.entered_at)]) AS cohort_no) AS cohorts
WHERE v.visit_no = 1 AND NOT v.is_closed AND v.stage_no IS NOT NULL;

CREATE TEMP TABLE curve AS
WITH at_days AS (
  SELECT line_no, cohort_no, days, count(*)::DOUBLE AS n, count(*) FILTER (exit_kind NOT IN ('open', 'deleted'))::DOUBLE AS d,
    count(*) FILTER (exit_kind = 'advanced')::DOUBLE AS d_advanced, count(*) FILTER (exit_kind = 'back')::DOUBLE AS d_back,
    count(*) FILTER (exit_kind = 'lateral')::DOUBLE AS d_lateral, count(*) FILTER (exit_kind = 'won')::DOUBLE AS d_won,
    count(*) FILTER (exit_kind = 'lost')::DOUBLE AS d_lost,
    count(*) FILTER (exit_kind = 'won_without_evidence')::DOUBLE AS d_unproven
  FROM entry WHERE NOT is_left_truncated GROUP BY ALL
), risk AS (
  SELECT *, sum(n) OVER (PARTITION BY line_no, cohort_no ORDER BY days DESC ROWS UNBOUNDED PRECEDING) AS at_risk FROM at_days
), survival AS (
  SELECT *, product(1 - d / at_risk) OVER w AS s,
    coalesce(product(1 - d / at_risk) OVER (PARTITION BY line_no, cohort_no ORDER BY days ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 1)
      AS s_before
  FROM risk WINDOW w AS (PARTITION BY line_no, cohort_no ORDER BY days ROWS UNBOUNDED PRECEDING)
)
SELECT line_no, cohort_no, days, at_risk, d, s, s_before, d_advanced, d_back, d_lateral, d_won, d_lost, d_unproven,
  d_advanced + d_won AS d_onward,
  sum(s_before * d_advanced / at_risk) OVER w2 AS f_advanced, sum(s_before * d_back / at_risk) OVER w2 AS f_back,
  sum(s_before * d_lateral / at_risk) OVER w2 AS f_lateral, sum(s_before * d_won / at_risk) OVER w2 AS f_won,
  sum(s_before * d_lost / at_risk) OVER w2 AS f_lost, sum(s_before * d_unproven / at_risk) OVER w2 AS f_unproven,
  sum(s_before * (d_advanced + d_won) / at_risk) OVER w2 AS f_onward
FROM survival WHERE d > 0
WINDOW w2 AS (PARTITION BY line_no, cohort_no ORDER BY days ROWS UNBOUNDED PRECEDING);

CREATE MACRO aalen(f_end, f, s, dk, d, n) AS
  (f_end - f) ^ 2 * coalesce(d / nullif((n - 1) * (n - d), 0), 0) + coalesce(s ^ 2 * dk * (n - dk) / nullif(n * n * (n - 1), 0), 0)
  - 2 * coalesce((f_end - f) * s * dk * (n - dk) / nullif(n * (n - d) * (n - 1), 0), 0);

CREATE TABLE plain.conversion AS
WITH ever AS (
  SELECT line_no, cohort_no, min(s) AS s_end, max(f_advanced) AS f_advanced, max(f_back) AS f_back, max(f_lateral) AS f_lateral,
    max(f_won) AS f_won, max(f_lost) AS f_lost, max(f_unproven) AS f_unproven, max(f_onward) AS f_onward
  FROM curve GROUP BY ALL
), ends AS (
  SELECT line_no, cohort_no, min(s) AS s, max(f_advanced) AS f_advanced, max(f_back) AS f_back, max(f_lateral) AS f_lateral,
    max(f_won) AS f_won, max(f_lost) AS f_lost, max(f_unproven) AS f_unproven, max(f_onward) AS f_onward
  FROM curve CROSS JOIN conformed.staging.stg_control__run AS run WHERE days <= run.conversion_days GROUP BY ALL
), spread AS (
  SELECT c.line_no, c.cohort_no,
    sum(aalen(e.f_advanced, c.f_advanced, s_before, d_advanced, d, at_risk)) AS v_advanced,
    sum(aalen(e.f_back, c.f_back, s_before, d_back, d, at_risk)) AS v_back,
    sum(aalen(e.f_lateral, c.f_lateral, s_before, d_lateral, d, at_risk)) AS v_lateral,
    sum(aalen(e.f_won, c.f_won, s_before, d_won, d, at_risk)) AS v_won,
    sum(aalen(e.f_lost, c.f_lost, s_before, d_lost, d, at_risk)) AS v_lost,
    sum(aalen(e.f_unproven, c.f_unproven, s_before, d_unproven, d, at_risk)) AS v_unproven,
    sum(aalen(e.f_onward, c.f_onward, s_before, d_onward, d, at_risk)) AS v_onward
  FROM curve AS c JOIN ends AS e USING (line_no, cohort_no) CROSS JOIN conformed.staging.stg_control__run AS run
  WHERE c.days <= run.conversion_days GROUP BY ALL
), counted AS (
  SELECT line_no, cohort_no, count(*) FILTER (NOT is_left_truncated) AS n_entered,
    count(*) FILTER (NOT is_left_truncated AND is_mature) AS n_mature,
    count(*) FILTER (NOT is_left_truncated AND exit_kind = 'open') AS n_open,
    count(*) FILTER (NOT is_left_truncated AND is_mature AND is_within AND exit_kind = 'deleted') AS n_deleted_within,
    count(*) FILTER (is_left_truncated) AS n_left_truncated, max(days) FILTER (NOT is_left_truncated) AS longest_days
  FROM entry GROUP BY ALL
), exits AS (
  SELECT line_no, cohort_no, exit_kind, count(*) AS n_ever, count(*) FILTER (is_mature AND is_within) AS n_within
  FROM entry WHERE NOT is_left_truncated GROUP BY ALL
), kinds AS (
  SELECT unnest(['advanced', 'back', 'lateral', 'won', 'lost', 'won_without_evidence', 'onward']) AS exit_kind
), counts AS (
  SELECT c.line_no, c.cohort_no, k.exit_kind, coalesce(sum(x.n_ever), 0) AS n_exits_ever, coalesce(sum(x.n_within), 0) AS n_exits
  FROM counted AS c CROSS JOIN kinds AS k
  LEFT JOIN exits AS x ON x.line_no = c.line_no AND x.cohort_no = c.cohort_no
    AND (x.exit_kind = k.exit_kind OR (k.exit_kind = 'onward' AND x.exit_kind IN ('advanced', 'won')))
  GROUP BY ALL
), told AS (
  SELECT c.*, k.exit_kind, k.n_exits, k.n_exits_ever, c.n_mature - c.n_deleted_within AS n_rate, coalesce(e.s, 1) AS s,
    coalesce(ever.s_end, 1) AS s_end,
    coalesce(CASE k.exit_kind WHEN 'advanced' THEN e.f_advanced WHEN 'back' THEN e.f_back WHEN 'lateral' THEN e.f_lateral WHEN 'won' THEN e.f_won
      WHEN 'lost' THEN e.f_lost WHEN 'onward' THEN e.f_onward ELSE e.f_unproven END, 0) AS f,
    coalesce(CASE k.exit_kind WHEN 'advanced' THEN v_advanced WHEN 'back' THEN v_back WHEN 'lateral' THEN v_lateral WHEN 'won' THEN v_won
      WHEN 'lost' THEN v_lost WHEN 'onward' THEN v_onward ELSE v_unproven END, 0) AS v,
    coalesce(CASE k.exit_kind WHEN 'advanced' THEN ever.f_advanced WHEN 'back' THEN ever.f_back WHEN 'lateral' THEN ever.f_lateral
      WHEN 'won' THEN ever.f_won WHEN 'lost' THEN ever.f_lost WHEN 'onward' THEN ever.f_onward ELSE ever.f_unproven END, 0) AS f_ever
  FROM counted AS c JOIN counts AS k USING (line_no, cohort_no)
  LEFT JOIN ends AS e USING (line_no, cohort_no) LEFT JOIN spread USING (line_no, cohort_no) LEFT JOIN ever USING (line_no, cohort_no)
)
SELECT CASE line_no % 2 WHEN 1 THEN 'defined' ELSE 'reported' END AS basis, s.sales_process,
  CASE cohort_no WHEN 0 THEN 'all' ELSE (cohort_no // 10) || '-Q' || cohort_no % 10 END AS cohort, s.stage_name, exit_kind,
  n_entered, n_mature, n_open, n_left_truncated, n_exits::BIGINT AS n_exits, n_exits_ever::BIGINT AS n_exits_ever, n_rate,
  CASE WHEN n_rate >= run.minimum_n THEN n_exits / n_rate END AS rate_within_days,
  CASE WHEN n_rate >= run.minimum_n THEN wilson(n_exits, n_rate, -1) END AS rate_lower,
  CASE WHEN n_rate >= run.minimum_n THEN wilson(n_exits, n_rate, 1) END AS rate_upper,
  CASE WHEN is_long THEN f END AS incidence_within_days, CASE WHEN is_long THEN log_log(f, v, -1) END AS incidence_lower,
  CASE WHEN is_long THEN log_log(f, v, 1) END AS incidence_upper,
  CASE WHEN n_entered >= run.minimum_n THEN f_ever END AS incidence_at_longest, CASE WHEN is_long THEN t.s END AS still_there_share
FROM (
  SELECT told.*, n_entered >= run.minimum_n AND (longest_days >= run.conversion_days OR s_end <= 1e-12) AS is_long
  FROM told CROSS JOIN conformed.staging.stg_control__run AS run
) AS t
JOIN plain.stage AS s ON s.stage_no = line_no // 2
CROSS JOIN conformed.staging.stg_control__run AS run;

DROP TABLE curve;
DROP TABLE entry;

-- 7. Time in stage: percentiles of the closed visits, Kaplan-Meier with the open ones.
CREATE TABLE plain.duration AS
WITH visit AS (
  SELECT basis, stage_no, days_in_stage AS days, exit_kind NOT IN ('open', 'deleted') AS is_closed_visit FROM plain.visit
  WHERE stage_no IS NOT NULL AND NOT is_closed
), closed AS (
  SELECT basis, stage_no, count(*) AS n_visits, count(*) FILTER (is_closed_visit) AS n_closed,
    quantile_cont(days, [0.5, 0.85, 0.95]) FILTER (is_closed_visit) AS p
  FROM visit GROUP BY ALL
), at_days AS (
  SELECT basis, stage_no, days, count(*)::DOUBLE AS n, count(*) FILTER (is_closed_visit)::DOUBLE AS d FROM visit GROUP BY ALL
), risk AS (
  SELECT *, sum(n) OVER (PARTITION BY basis, stage_no ORDER BY days DESC ROWS UNBOUNDED PRECEDING) AS at_risk FROM at_days
), curve AS (
  SELECT basis, stage_no, days, product(1 - d / at_risk) OVER w AS s,
    sum(coalesce(d / nullif(at_risk * (at_risk - d), 0), 0)) OVER w AS g
  FROM risk WINDOW w AS (PARTITION BY basis, stage_no ORDER BY days ROWS UNBOUNDED PRECEDING)
), bounded AS (
  SELECT *, CASE WHEN s = 0 THEN 0 WHEN s < 1 THEN s ^ exp(-1.959963984540054 * sqrt(g) / ln(s)) ELSE 1 END AS s_low,
    CASE WHEN s = 0 THEN 0 WHEN s < 1 THEN s ^ exp(1.959963984540054 * sqrt(g) / ln(s)) ELSE 1 END AS s_high
  FROM curve
), quantiles AS (
  SELECT basis, stage_no, min(days) FILTER (s <= 0.5 + 1e-12) AS p50, min(days) FILTER (s_high <= 0.5 + 1e-12) AS p50_a,
    min(days) FILTER (s_low <= 0.5 + 1e-12) AS p50_b, min(days) FILTER (s <= 0.15 + 1e-12) AS p85, min(days) FILTER (s <= 0.05 + 1e-12) AS p95
  FROM bounded GROUP BY ALL
)
SELECT c.basis, s.sales_process, s.stage_name, c.n_visits, c.n_closed,
  CASE WHEN n_closed >= run.minimum_n THEN c.p[1] END AS closed_p50_days, CASE WHEN n_closed >= run.minimum_n THEN c.p[2] END AS closed_p85_days,
  CASE WHEN n_closed >= run.minimum_n THEN c.p[3] END AS closed_p95_days, CASE WHEN n_visits >= run.minimum_n THEN q.p50 END AS km_p50_days,
  CASE WHEN n_visits >= run.minimum_n THEN least(q.p50_a, q.p50_b) END AS km_p50_lower_days,
  CASE WHEN n_visits >= run.minimum_n AND q.p50_a IS NOT NULL AND q.p50_b IS NOT NULL THEN greatest(q.p50_a, q.p50_b) END AS km_p50_upper_days,
  CASE WHEN n_visits >= run.minimum_n THEN q.p85 END AS km_p85_days, CASE WHEN n_visits >= run.minimum_n THEN q.p95 END AS km_p95_days
FROM closed AS c JOIN quantiles AS q USING (basis, stage_no) JOIN plain.stage AS s USING (stage_no)
CROSS JOIN conformed.staging.stg_control__run AS run;

-- 3 and 4. Open deals: age, percentile among the closed visits of the stage, whose turn it is.
CREATE TABLE plain.aging AS
WITH standing AS (
  SELECT opportunity_id, stage_name, days_in_stage, cumulative_days_in_stage FROM plain.visit WHERE basis = 'reported' AND exit_kind = 'open'
), open_deal AS (
  SELECT d.opportunity_id, d.sales_process, d.stage_name, d.close_on, v.days_in_stage, v.cumulative_days_in_stage
  FROM plain.deal AS d LEFT JOIN standing AS v ON v.opportunity_id = d.opportunity_id AND v.stage_name = d.stage_name
  WHERE NOT d.is_closed AND d.deleted_at IS NULL
), placed AS (
  SELECT opportunity_id, sum(closed) OVER (PARTITION BY sales_process, stage_name) AS n_closed,
    CASE WHEN days_in_stage IS NULL THEN 0
      ELSE sum(closed) OVER (PARTITION BY sales_process, stage_name ORDER BY days_in_stage RANGE UNBOUNDED PRECEDING) END AS n_no_longer
  FROM (
    SELECT NULL AS opportunity_id, sales_process, stage_name, days_in_stage, 1 AS closed FROM plain.visit
    WHERE basis = 'reported' AND exit_kind NOT IN ('open', 'deleted')
    UNION ALL SELECT opportunity_id, sales_process, stage_name, days_in_stage, 0 FROM open_deal)
  QUALIFY opportunity_id IS NOT NULL
)
SELECT o.opportunity_id, o.sales_process, o.stage_name, o.days_in_stage AS age_days, o.cumulative_days_in_stage AS cumulative_age_days,
  CASE WHEN p.n_closed >= run.minimum_n THEN p.n_no_longer / p.n_closed END AS age_percentile,
  CASE WHEN t.last_response_at IS NULL AND t.last_touch_at IS NULL THEN 'unknown'
    WHEN t.last_touch_at IS NULL OR t.last_response_at > t.last_touch_at THEN 'us' ELSE 'customer' END AS ball_with,
  days_between(greatest(t.last_response_at, t.last_touch_at), run.as_of) AS ball_days,
  t.last_response_at AS last_customer_response_at, o.close_on < run.as_of_on AS is_close_date_past
FROM open_deal AS o JOIN placed AS p USING (opportunity_id) LEFT JOIN plain.touch AS t USING (opportunity_id)
CROSS JOIN conformed.staging.stg_control__run AS run;

-- 5. Work in progress per owner.
CREATE TABLE plain.owner_load AS
WITH visit_end AS (
  SELECT opportunity_id, stage_name, entered_at, days_in_stage FROM plain.visit
  WHERE basis = 'reported' AND exit_kind = 'open'
), deal AS (
  SELECT d.sales_process, coalesce(d.owner_id, '') AS owner_id, NOT d.is_closed AS is_open, v.days_in_stage,
    CASE WHEN d.is_closed THEN coalesce(v.entered_at, CASE WHEN d.last_stage_change_at <= run.as_of THEN d.last_stage_change_at END) END AS closed_at
  FROM plain.deal AS d LEFT JOIN visit_end AS v ON v.opportunity_id = d.opportunity_id AND v.stage_name = d.stage_name
  CROSS JOIN conformed.staging.stg_control__run AS run
  WHERE d.deleted_at IS NULL AND d.is_closed IS NOT NULL
), held AS (
  SELECT sales_process, owner_id, count(*) FILTER (is_open) AS wip, quantile_cont(days_in_stage, 0.5) FILTER (is_open) AS wip_age_p50_days,
    max(days_in_stage) FILTER (is_open) AS wip_age_max_days
  FROM deal CROSS JOIN conformed.staging.stg_control__run AS run
  GROUP BY ALL HAVING bool_or(is_open OR days_between(closed_at, run.as_of) <= 365)
), known AS (
  SELECT h.*, CASE WHEN h.owner_id = '' THEN 'none' WHEN substr(h.owner_id, 1, 3) = '00G' THEN 'queue' WHEN u.is_active THEN 'active'
    WHEN NOT u.is_active THEN 'inactive' ELSE 'unknown' END AS owner_state
  FROM held AS h LEFT JOIN conformed.staging.stg_salesforce__user AS u ON u.user_id = h.owner_id
), levels AS (
  SELECT sales_process, count(*) AS n_owners, sum(wip) AS total, avg(wip) AS mean_wip, stddev_pop(wip) / nullif(avg(wip), 0) AS wip_cv,
    (2 * sum(place * wip) - (count(*) + 1) * sum(wip)) / nullif(count(*) * sum(wip), 0) AS wip_gini
  FROM (SELECT *, row_number() OVER (PARTITION BY sales_process ORDER BY wip, owner_id) AS place FROM known WHERE owner_state = 'active')
  GROUP BY ALL
)
SELECT k.sales_process, nullif(k.owner_id, '') AS owner_id, k.owner_state, k.wip, k.wip_age_p50_days, k.wip_age_max_days, l.n_owners,
  CASE WHEN is_enough THEN mean_wip END AS mean_wip, CASE WHEN is_enough THEN wip_cv END AS wip_cv,
  CASE WHEN is_enough THEN wip_gini END AS wip_gini, CASE WHEN is_enough THEN greatest(0, mean_wip - 3 * sqrt(mean_wip)) END AS wip_lower_limit,
  CASE WHEN is_enough THEN mean_wip + 3 * sqrt(mean_wip) END AS wip_upper_limit
FROM known AS k JOIN (
  SELECT levels.*, n_owners >= 2 AND total >= run.minimum_n AS is_enough FROM levels CROSS JOIN conformed.staging.stg_control__run AS run
) AS l USING (sales_process);

-- 6. XmR charts of the weekly flow.
CREATE TABLE plain.day AS
SELECT unnest(generate_series(date_trunc('year', (SELECT min(created_at) FROM plain.deal))::DATE,
  (SELECT as_of::DATE FROM conformed.staging.stg_control__run), INTERVAL 1 DAY))::DATE AS date_on;

CREATE TEMP TABLE moved AS
WITH rates AS (
  SELECT currency_code, nullif(conversion_rate, 0) AS rate, start_on, coalesce(next_start_on, DATE '9999-12-31') AS until_on
  FROM conformed.staging.stg_salesforce__dated_conversion_rate WHERE NOT is_deleted
), valued AS (
  SELECT h.opportunity_id, h.sales_process, h.change_no, h.moment, h.stage_name, h.close_on, s.stage_order,
    CASE WHEN s.stage_name IS NULL THEN 'unmapped' WHEN NOT s.is_closed THEN 'open' WHEN s.is_won THEN 'won' ELSE 'lost' END AS standing,
    CASE WHEN h.currency_code IS NULL OR h.currency_code = run.corporate_currency OR c.is_corporate THEN h.amount
      ELSE (h.amount / coalesce(r.rate, nullif(c.conversion_rate, 0)))::DECIMAL(18, 2) END AS amount
  FROM plain.history AS h CROSS JOIN conformed.staging.stg_control__run AS run
  LEFT JOIN plain.stage AS s USING (sales_process, stage_name)
  LEFT JOIN conformed.staging.stg_salesforce__currency_type AS c ON c.currency_code = h.currency_code AND NOT c.is_deleted
  LEFT JOIN rates AS r ON r.currency_code = h.currency_code AND h.close_on >= r.start_on AND h.close_on < r.until_on
), compared AS (
  SELECT *, lag(standing) OVER w AS was, lag(stage_name) OVER w AS was_stage, lag(stage_order) OVER w AS was_order, lag(amount) OVER w AS was_amount,
    lag(close_on) OVER w AS was_close_on, lead(change_no) OVER w IS NULL AS is_last,
    max(CASE WHEN standing = 'open' THEN CASE change_no WHEN 1 THEN moment END END) OVER w AS first_open_at
  FROM valued WINDOW w AS (PARTITION BY opportunity_id ORDER BY change_no)
), stepped AS (
  SELECT *, CASE WHEN standing = 'open' AND was IS DISTINCT FROM 'open' THEN 1 WHEN was = 'open' AND standing <> 'open' THEN -1 ELSE 0 END AS came
  FROM compared
), timed AS (
  SELECT *, max(CASE WHEN came = 1 THEN moment END) OVER (PARTITION BY opportunity_id ORDER BY change_no ROWS UNBOUNDED PRECEDING) AS came_at FROM stepped
), moves AS (
  SELECT sales_process, moment, came, came_at, standing, was, amount,
    standing = 'won' AND was IS DISTINCT FROM 'won' AS is_won, standing = 'lost' AND was IS DISTINCT FROM 'lost' AS is_lost,
    was = 'open' AND standing = 'open' AND close_on > was_close_on AS is_slip,
    was = 'open' AND standing = 'open' AND close_on > was_close_on AND date_trunc('month', close_on) > date_trunc('month', was_close_on) AS is_month_slip,
    was = 'open' AND standing = 'open' AND stage_name <> was_stage AND stage_order < was_order AS is_back,
    came * coalesce(amount, 0) + CASE WHEN was = 'open' THEN coalesce(amount, 0) - coalesce(was_amount, 0) ELSE 0 END AS amount_change,
    CASE WHEN amount IS NULL THEN 0 ELSE came END
      + CASE WHEN was = 'open' AND was_amount IS NULL AND amount IS NOT NULL THEN 1
             WHEN was = 'open' AND was_amount IS NOT NULL AND amount IS NULL THEN -1 ELSE 0 END AS with_amount_change
  FROM timed
  UNION ALL
  SELECT t.sales_process, greatest(d.deleted_at, t.moment), -1, t.came_at, 'deleted', 'open', t.amount, false, false, false, false, false,
    -coalesce(t.amount, 0), CASE WHEN t.amount IS NULL THEN 0 ELSE -1 END
  FROM timed AS t JOIN plain.deal AS d USING (opportunity_id) WHERE t.is_last AND t.standing = 'open' AND d.deleted_at IS NOT NULL
)
SELECT 'reported' AS basis, sales_process, greatest(date_trunc('week', moment)::DATE, (SELECT min(date_trunc('week', date_on))::DATE FROM plain.day)) AS week_on,
  count(*) FILTER (came = 1) AS arrivals, count(*) FILTER (is_won) AS won, count(*) FILTER (is_lost) AS lost,
  sum(amount) FILTER (is_won) AS won_amount, count(amount) FILTER (is_won) AS won_with_amount, count(*) FILTER (is_slip) AS slips,
  count(*) FILTER (is_month_slip) AS month_slips, count(*) FILTER (is_back) AS moves_back, sum(came) AS came,
  sum(came * (epoch_us(came_at)::HUGEINT)) FILTER (came <> 0) AS came_us, sum(amount_change) AS amount_change, sum(with_amount_change) AS with_amount_change
FROM moves GROUP BY ALL;

INSERT INTO moved
WITH visit AS (
  SELECT *, NOT is_closed AND coalesce(lag(is_closed) OVER w OR lag(exited_at) OVER w < entered_at, true) AS is_arrival
  FROM plain.visit WHERE basis = 'defined' AND stage_no IS NOT NULL WINDOW w AS (PARTITION BY opportunity_id ORDER BY visit_seq)
), dated AS (
  SELECT *, max(CASE WHEN is_arrival THEN entered_at END) OVER (PARTITION BY opportunity_id ORDER BY visit_seq ROWS UNBOUNDED PRECEDING) AS came_at FROM visit
), moves AS (
  SELECT sales_process, entered_at AS moment, came_at, CASE WHEN is_closed THEN 0 ELSE 1 END AS came, is_arrival, is_won, is_closed AND NOT is_won AS is_lost,
    false AS is_back FROM dated
  UNION ALL
  SELECT sales_process, exited_at, came_at, -1, false, false, false, exit_kind = 'back' FROM dated WHERE exited_at IS NOT NULL AND NOT is_closed
)
SELECT 'defined', sales_process, greatest(date_trunc('week', moment)::DATE, (SELECT min(date_trunc('week', date_on))::DATE FROM plain.day)),
  count(*) FILTER (is_arrival), count(*) FILTER (is_won), count(*) FILTER (is_lost), NULL, 0, 0, 0, count(*) FILTER (is_back), sum(came),
  sum(came * (epoch_us(came_at)::HUGEINT)) FILTER (came <> 0), 0, 0
FROM moves GROUP BY ALL;

CREATE TABLE plain.flow AS
WITH weeks AS (
  SELECT DISTINCT date_trunc('week', date_on)::DATE AS week_on, row_number() OVER (ORDER BY date_trunc('week', date_on)) AS period_no
  FROM (SELECT DISTINCT date_trunc('week', date_on)::DATE AS date_on FROM plain.day) CROSS JOIN conformed.staging.stg_control__run AS run
  WHERE days_between(date_on::TIMESTAMP, run.as_of) >= 7
), lines AS (SELECT basis, sales_process, min(week_on) AS first_on FROM moved GROUP BY ALL
), weekly AS (
  SELECT l.basis, l.sales_process, w.week_on, w.period_no, coalesce(arrivals, 0) AS arrivals, coalesce(won, 0) AS won, coalesce(lost, 0) AS lost,
    CASE WHEN coalesce(won, 0) = 0 THEN 0 ELSE won_amount END AS won_amount, coalesce(slips, 0) AS slips,
    coalesce(month_slips, 0) AS month_slips, coalesce(moves_back, 0) AS moves_back, sum(coalesce(came, 0)) OVER so_far AS wip,
    sum(coalesce(came_us, 0)) OVER so_far AS came_us, sum(coalesce(amount_change, 0)) OVER so_far AS open_amount,
    sum(coalesce(with_amount_change, 0)) OVER so_far AS with_amount
  FROM lines AS l JOIN weeks AS w ON w.week_on >= l.first_on
  LEFT JOIN moved AS m ON m.basis = l.basis AND m.sales_process = l.sales_process AND m.week_on = w.week_on
  WINDOW so_far AS (PARTITION BY l.basis, l.sales_process ORDER BY w.week_on ROWS UNBOUNDED PRECEDING)
), measured AS (
  SELECT basis, sales_process, week_on, period_no, unnest([
    {'metric': 'arrivals', 'value': arrivals::DOUBLE}, {'metric': 'closed', 'value': (won + lost)::DOUBLE}, {'metric': 'won', 'value': won::DOUBLE},
    {'metric': 'lost', 'value': lost::DOUBLE}, {'metric': 'won_amount', 'value': won_amount::DOUBLE},
    {'metric': 'win_rate', 'value': won / nullif(won + lost, 0)}, {'metric': 'slips', 'value': slips::DOUBLE},
    {'metric': 'month_slips', 'value': month_slips::DOUBLE}, {'metric': 'moves_back', 'value': moves_back::DOUBLE}, {'metric': 'wip', 'value': wip::DOUBLE},
    {'metric': 'wip_amount', 'value': CASE WHEN wip = 0 OR with_amount > 0 THEN open_amount::DOUBLE END},
    {'metric': 'wip_age', 'value': (wip * epoch_us((week_on + INTERVAL 7 DAY)::TIMESTAMP)::HUGEINT - came_us)::DOUBLE / nullif(wip, 0) / 86400000000}
  ], recursive := true)
  FROM weekly WHERE period_no > (SELECT max(period_no) FROM weeks) - 52
), ranged AS (
  SELECT *, abs(value - lag(value) OVER (PARTITION BY basis, sales_process, metric ORDER BY period_no)) AS moving_range FROM measured
  WHERE basis = 'reported' OR metric NOT IN ('won_amount', 'slips', 'month_slips', 'wip_amount')
), limited AS (
  SELECT *, avg(value) OVER chart AS mean_value, avg(moving_range) OVER chart AS mean_range FROM ranged
  WINDOW chart AS (PARTITION BY basis, sales_process, metric)
), sided AS (
  SELECT *, sign(value - mean_value) AS side,
    CASE WHEN value - mean_value > 1.33 * mean_range THEN 1 WHEN mean_value - value > 1.33 * mean_range THEN -1 ELSE 0 END AS nearer FROM limited
)
SELECT basis, sales_process, metric, week_on AS week_starts_on, value, moving_range, mean_value,
  CASE WHEN mean_value - 2.66 * mean_range >= 0 THEN mean_value - 2.66 * mean_range END AS lower_limit,
  CASE WHEN metric <> 'win_rate' OR mean_value + 2.66 * mean_range <= 1 THEN mean_value + 2.66 * mean_range END AS upper_limit,
  CASE WHEN value IS NULL THEN NULL
    WHEN value > mean_value + 2.66 * mean_range OR value < mean_value - 2.66 * mean_range THEN 'outside'
    WHEN abs(sum(side) OVER last_8) = 8 THEN '8 in a row'
    WHEN nearer <> 0 AND count(value) OVER last_4 = 4
      AND (count(*) FILTER (nearer = 1) OVER last_4 >= 3 AND nearer = 1 OR count(*) FILTER (nearer = -1) OVER last_4 >= 3 AND nearer = -1) THEN '3 of 4'
    WHEN moving_range > 3.268 * mean_range THEN 'range' ELSE 'none' END AS signal
FROM sided
WINDOW last_8 AS (PARTITION BY basis, sales_process, metric ORDER BY period_no ROWS 7 PRECEDING),
  last_4 AS (PARTITION BY basis, sales_process, metric ORDER BY period_no ROWS 3 PRECEDING);

DROP TABLE moved;

-- 8. Cumulative flow: arrivals for the first time, how far deals ever got, and what stands there, by day.
CREATE TABLE plain.cumulative AS
WITH rungs AS (
  SELECT *, is_won OR NOT is_closed AS is_on_the_way,
    row_number() OVER (PARTITION BY sales_process, is_won OR NOT is_closed ORDER BY stage_order, stage_name) AS rung FROM plain.stage
), reaching AS (
  SELECT v.basis, v.sales_process, v.entered_at, r.rung, coalesce(max(r.rung) OVER (
    PARTITION BY v.basis, v.opportunity_id ORDER BY v.visit_seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS rung_before
  FROM plain.visit AS v JOIN rungs AS r USING (stage_no) WHERE r.is_on_the_way
), events AS (
  SELECT basis, stage_no, entered_at AS moment, visit_no = 1 AS is_first, false AS is_reached, CASE WHEN is_closed THEN 0 ELSE 1 END AS change
  FROM plain.visit WHERE stage_no IS NOT NULL
  UNION ALL SELECT basis, stage_no, exited_at, false, false, -1 FROM plain.visit WHERE stage_no IS NOT NULL AND exited_at IS NOT NULL AND NOT is_closed
  UNION ALL
  SELECT e.basis, r.stage_no, e.entered_at, false, true, 0 FROM reaching AS e
  JOIN rungs AS r ON r.sales_process = e.sales_process AND r.is_on_the_way AND r.rung > e.rung_before AND r.rung <= e.rung
), daily AS (
  SELECT basis, stage_no, greatest(moment::DATE, (SELECT min(date_on) FROM plain.day)) AS date_on, count(*) FILTER (is_first) AS arrivals,
    count(*) FILTER (is_reached) AS reached, sum(change) AS change FROM events GROUP BY ALL
), lines AS (
  SELECT basis, sales_process, min(date_on) AS first_on FROM daily JOIN plain.stage USING (stage_no) GROUP BY ALL
)
SELECT l.basis, l.sales_process, s.stage_name, d.date_on, coalesce(x.arrivals, 0) AS first_arrivals,
  sum(coalesce(x.arrivals, 0)) OVER so_far::BIGINT AS first_arrivals_cumulative,
  CASE WHEN s.is_on_the_way THEN sum(coalesce(x.reached, 0)) OVER so_far::BIGINT END AS reached_cumulative,
  sum(coalesce(x.change, 0)) OVER so_far::BIGINT AS wip
FROM lines AS l JOIN plain.day AS d ON d.date_on >= l.first_on JOIN rungs AS s ON s.sales_process = l.sales_process
LEFT JOIN daily AS x ON x.basis = l.basis AND x.stage_no = s.stage_no AND x.date_on = d.date_on
WINDOW so_far AS (PARTITION BY l.basis, s.stage_no ORDER BY d.date_on ROWS UNBOUNDED PRECEDING);
