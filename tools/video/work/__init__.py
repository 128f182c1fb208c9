"""Files of a video that are kept: the clip's frames, their flows, and the results."""
