"""The built-in estimators of optical flow."""
