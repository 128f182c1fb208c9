"""The interfaces of plugin authors: backbones, backends, loss terms, writers, specs, events."""
