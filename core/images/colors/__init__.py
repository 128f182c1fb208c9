"""The style images' palettes, and results with their colors in the content image's places."""
