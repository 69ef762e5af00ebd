"""What both command lines share; `app.run` runs one. Needs the extra `cli`.

app         a command line from its parts; where other modules add their commands
program     what one SDK names of its own
commands    a command per operation and workflow: parameters (options), texts (help from docstrings)
running     one command, from its options to its exit code: dry_run, question, watch (for Ctrl-C)
settings    environment, profiles, prompt; login stores them, doctor (probes) tries them
output      results and messages: tables, help; exits has the exit codes
narration   the demos
"""
