"""A stand-alone Salesforce org on loopback, for clients that cannot be pointed at a real one.

`org` holds the records, `schema` and `standard_objects` say what the objects look like, `soql`
turns queries into parameterised SQL, `rest`, `bulk2`, `ui_api` and `auth` speak the protocol, `faults` plays what goes
wrong, `server` and `cli` put it on a port. Nothing here knows the rest of the project; it needs only DuckDB,
PyArrow and NumPy.
"""
