{#- The difference of two means with unequal spread (Welch 1947), from their variances (divisor n - 1) and sizes. -#}

{#- Variance of a mean. -#}
{% macro variance_of_mean(variance, n) -%}
    ({{ variance }} / nullif({{ n }}, 0))
{%- endmacro %}

{#- Degrees of freedom (Welch & Satterthwaite); at least the smaller n less 1. NULL where neither side varies. -#}
{% macro welch_degrees(variance1, n1, variance2, n2) -%}
    power({{ variance_of_mean(variance1, n1) }} + {{ variance_of_mean(variance2, n2) }}, 2) / nullif(
        power({{ variance_of_mean(variance1, n1) }}, 2) / nullif({{ n1 }} - 1, 0)
        + power({{ variance_of_mean(variance2, n2) }}, 2) / nullif({{ n2 }} - 1, 0),
        0
    )
{%- endmacro %}

{#- 97.5 % quantile of Student's t for any number of degrees of freedom from 7 on, by Fisher's expansion about the normal
    quantile to the fifth order (Fisher & Cornish 1960): off by less than 3 in a million at 7, less beyond. NULL below 7. -#}
{% macro student_t_975_from_7(degrees) -%}
    {%- set z = 1.959963984540054 -%}
    case
        when {{ degrees }} >= 7
            then
                {{ z }}
                + {{ (z ** 3 + z) / 4 }} / {{ degrees }}
                + {{ (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96 }} / power({{ degrees }}, 2)
                + {{ (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384 }} / power({{ degrees }}, 3)
                + {{ (79 * z ** 9 + 776 * z ** 7 + 1482 * z ** 5 - 1920 * z ** 3 - 945 * z) / 92160 }} / power({{ degrees }}, 4)
                + {{ (27 * z ** 11 + 339 * z ** 9 + 930 * z ** 7 - 1782 * z ** 5 - 765 * z ** 3 + 17955 * z) / 368640 }}
                / power({{ degrees }}, 5)
    end
{%- endmacro %}
