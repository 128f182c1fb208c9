"""Report on a video's flicker: frames painted by themselves, warping errors, the page."""
