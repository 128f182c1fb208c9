"""The method: what is optimised and how. Knows interfaces only, never a plugin or a runtime."""
