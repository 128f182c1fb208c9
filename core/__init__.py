"""The method: what is optimised and how. Imports nothing from the other three packages."""
