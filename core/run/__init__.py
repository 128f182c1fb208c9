"""The run: session, binding, runner, snapshots, record, outputs."""
