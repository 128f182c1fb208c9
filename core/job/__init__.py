"""A result as data: job, table of options, presets, files. Needs neither torch nor Pillow."""
