"""Every row of the tables: what is fitted on the drawn rows."""
