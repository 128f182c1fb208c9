"""From a job to a plan: names looked up, options validated, defaults spelled out, sizes."""
