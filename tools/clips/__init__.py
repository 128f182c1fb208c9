"""Reading and writing of clips: videos, animated images and numbered images."""
