"""What plugin authors implement for video, and what its terms read."""
