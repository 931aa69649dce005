{#- Draws of other laws than the uniform, and quantiles. -#}

{#- Standard normal draw from a key (text) and a counter (Box & Muller 1958). -#}
{% macro normal_draw(key, counter) -%}
    (
        sqrt(-2 * ln(1 - {{ uniform_draw(key ~ " || ': radius'", counter) }}))
        * cos(6.283185307179586 * {{ uniform_draw(key ~ " || ': angle'", counter) }})
    )
{%- endmacro %}

{#- 97.5 % quantile of Student's t with 2 to 7 degrees of freedom; NULL for others. -#}
{% macro student_t_975(degrees) -%}
    case {{ degrees }}
        when 2 then 4.302652729749462
        when 3 then 3.1824463052837078
        when 4 then 2.7764451051977934
        when 5 then 2.5705818356363146
        when 6 then 2.4469118511449786
        when 7 then 2.364624251592784
    end
{%- endmacro %}
