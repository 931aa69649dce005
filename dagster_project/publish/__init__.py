"""Publishing: a finished mart becomes a folder of its own, then one pointer moves. Reads only what was built.

Belongs here: the folder, its Parquet files, the manifest, the pointer, keeping and pruning. Does not: building a mart.
"""
