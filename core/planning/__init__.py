"""Planning of a job: names looked up, options validated, defaults spelled out, sizes computed."""
