"""The CNN runtimes behind `core.backend.FeatureBackend`."""
