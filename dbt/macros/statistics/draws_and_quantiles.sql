{#- Draws of other laws than the uniform, and quantiles. -#}

{#- Standard normal draw from a key (text) and a counter (Box & Muller 1958). -#}
{% macro normal_draw(key, counter) -%}
    (
        sqrt(-2 * ln(1 - {{ uniform_draw([key ~ " || ': radius'", counted_text(counter)]) }}))
        * cos(6.283185307179586 * {{ uniform_draw([key ~ " || ': angle'", counted_text(counter)]) }})
    )
{%- endmacro %}

{#- Millions of pairs (a deal, a trial): MD5 of each pair would take most of the time of a simulation. Each side draws two numbers
by MD5 (`pair_seeds`); arithmetic modulo the prime 2^31 - 1 mixes them (`pair_draw`): x = a1 b1 + b2, then x (x + a2). Of two
deals the draws of any one trial are independent, as a1 and a2 are: a uniform number times or plus one that is not 0 is uniform. -#}
{% macro pair_seeds(key, name) -%}
    1 + cast(floor(2147483646 * {{ uniform_draw([key, "'first'"]) }}) as bigint) as {{ name }}_1,
        1 + cast(floor(2147483646 * {{ uniform_draw([key, "'second'"]) }}) as bigint) as {{ name }}_2
{%- endmacro %}

{#- Uniform on [0, 1) for a pair of rows with columns <name>_1 and <name>_2 of `pair_seeds`; steps of 2^-31. -#}
{% macro pair_draw(one, other) -%}
    {%- set mixed = '((' ~ one ~ '_1 * ' ~ other ~ '_1 + ' ~ other ~ '_2) % 2147483647)' -%}
    (cast(({{ mixed }} * ({{ mixed }} + {{ one }}_2)) % 2147483647 as double) / 2147483647)
{%- endmacro %}

{#- A counter as a part of a draw's key. -#}
{% macro counted_text(counter) -%}
    cast({{ counter }} as {{ dbt.type_string() }})
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
