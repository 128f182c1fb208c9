"""The run of a job: session, binding, runner, snapshots, record, outputs."""
