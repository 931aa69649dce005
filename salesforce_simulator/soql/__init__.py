"""SOQL: text -> tokens -> tree -> parameterised DuckDB SQL. What is not known is refused with its position."""
