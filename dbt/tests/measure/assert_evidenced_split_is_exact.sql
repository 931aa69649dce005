{{ config(tags=['measure']) }}
-- every additive figure: reported = same + earlier + none + set aside, to the last digit
select * from {{ ref('rpt_evidenced_split') }}
where
    reported <> evidenced_same + evidenced_earlier + evidenced_none + set_aside
    or evidenced_none < 0
