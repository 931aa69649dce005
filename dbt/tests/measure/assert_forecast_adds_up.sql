{{ config(tags=['measure']) }}
-- forecast = won + open + not open yet; the interval never lies below what is won; the CRM's figures hold what they claim to hold
select * from {{ ref('rpt_forecast') }}
where
    abs(forecast_money - won_money - open_money - new_money) > 1e-6 * abs(forecast_money) + 1e-6
    or forecast_lower > forecast_upper
    or forecast_lower < won_money
    or crm_best_case_money < crm_commit_money
    or crm_commit_money < won_money
    or (forecast_money is null and reads = 'ok')
