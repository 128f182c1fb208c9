"""Interfaces of video: estimators of optical flow, and former results."""
