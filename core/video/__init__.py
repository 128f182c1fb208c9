"""The method of video: warped former results, where they are reliable, and scene cuts."""
