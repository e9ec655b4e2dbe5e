"""Many files: one verb over all of them, rows in Parquet, resumable, in processes or on a Ray cluster."""
