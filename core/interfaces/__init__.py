"""Interfaces for plugin authors: backbones, backends, loss terms, writers, specs, events."""
