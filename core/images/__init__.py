"""Images, from files to pixels: decoding, masks, region maps, color transfer, a job's inputs."""
