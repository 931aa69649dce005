{#- Money in the corporate currency: the one place that says how. Which date decides is the model's to say. -#}

{#- CTEs `currencies` and `dated_rates` (Salesforce's rates: so much of the currency for one of the corporate one). -#}
{% macro currency_rates() -%}
currencies as (
    select
        currency_code,
        nullif(conversion_rate, 0) as conversion_rate,
        is_corporate
    from {{ ref('stg_salesforce__currency_type') }}
    where not is_deleted
),

-- the corporate currency is not converted: most rows then find no rate to try
dated_rates as (
    select
        rates.currency_code,
        nullif(rates.conversion_rate, 0) as conversion_rate,
        rates.start_on,
        coalesce(rates.next_start_on, cast('9999-12-31' as date)) as next_start_on
    from {{ ref('stg_salesforce__dated_conversion_rate') }} as rates
    left join currencies on rates.currency_code = currencies.currency_code
    where not rates.is_deleted and not coalesce(currencies.is_corporate, false)
)
{%- endmacro %}

{#- Joins the rate of the relation's currency that holds on a date, and its undated one. `of`: '' or 'previous_', the currency's prefix. -#}
{% macro join_currency_rates(relation, date_on, of='') -%}
{%- set as_of_which = (' as ' ~ of ~ 'currencies', ' as ' ~ of ~ 'dated_rates') if of else ('', '') -%}
left join currencies{{ as_of_which[0] }} on {{ relation }}.{{ of }}currency_code = {{ of }}currencies.currency_code
left join dated_rates{{ as_of_which[1] }}
    on
        {{ relation }}.{{ of }}currency_code = {{ of }}dated_rates.currency_code
        and {{ date_on }} >= {{ of }}dated_rates.start_on
        and {{ date_on }} < {{ of }}dated_rates.next_start_on
{%- endmacro %}

{#- The amount in the corporate currency, decimal(18, 2): as it is in an org of one currency and in the corporate one; else at the rate that
holds on the date, and at the undated one where there is none. Without a rate it is unknown: NULL, never the native amount. -#}
{% macro corporate_amount(amount, relation, corporate_currency, of='') -%}
{%- set currency_code, currencies = relation ~ '.' ~ of ~ 'currency_code', of ~ 'currencies' -%}
case
        when {{ currency_code }} is null then {{ amount }}
        when coalesce({{ currency_code }} = {{ corporate_currency }}, {{ currencies }}.is_corporate, false) then {{ amount }}
        else cast({{ amount }} / coalesce({{ of }}dated_rates.conversion_rate, {{ currencies }}.conversion_rate) as decimal(18, 2))
    end
{%- endmacro %}

{#- CTE `held`: the currencies whose money is withheld until someone vouches for it. -#}
{% macro held_currencies() -%}
held as (
    select distinct scope_value as currency_code
    from {{ ref('fct_held_scopes') }}
    where scope = 'currency' and not is_overridden
)
{%- endmacro %}
