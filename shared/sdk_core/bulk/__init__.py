"""Many calls from a plan, with a journal: a run that can be killed at any moment and goes on where it was.

    plan.py       CSV, JSONL or mappings become rows; each is checked, by values.py and tasks.py, before the first call
    tasks.py      what a plan can ask for: operations and workflows
    journal.py    the SQLite file of a run; records.py looks into it, lock.py keeps others away
    run.py        the rows, many at a time: intents on disk, engine, outcomes on disk
    row.py        the engine in this process: a row is sent, or settled by reading
    docket.py     the engine of several machines
    result.py, progress.py, report.py    how rows end, how far a run is, what became of it
    results_file.py    the file that it is written to, in place of nothing else

Users import `membership_sdk.bulk` or `cloudcockpit_sdk.bulk`.
"""
