"""People are told: one message per new signal, to the receivers that the settings switch on; and the weekly digest.

Belongs here: what is a signal, what was told already, the receivers, the digest. Does not: judging (contracts), Dagster,
printing. A receiver that fails never fails a run: what went wrong is handed back, and the next run tries again. Webhooks and
SMTP are spoken here, since Dagster's integrations know only of runs in Dagster, and `leanfunnel run` tells people, too.
"""
