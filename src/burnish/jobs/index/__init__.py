"""The index of runs: what the records of run folders say, kept in the database. The folders are the truth.

    folders ── names and file times ──▶ `folders.py` ── those that changed are read ──▶ `entry.py`
       what is known: `index.py`, in tables of `jobs.database`

An entry has the signature of the records that it was read from (their times and sizes). A listing compares it with the
files, so that a record that was edited, damaged, copied or removed is read again, whoever changed it.
"""
