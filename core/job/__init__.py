"""The job, a result as data: model, table of options, presets, files.

Needs neither torch nor Pillow.
"""
