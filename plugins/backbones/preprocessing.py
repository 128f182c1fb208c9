"""Means and scales of the images that networks were trained on, for RGB images in [0, 1]."""

from __future__ import annotations

#: Caffe's models were trained on BGR images in 0-255, less this mean; its order here is R, G, B.
CAFFE_MEAN = (123.68 / 255, 116.779 / 255, 103.939 / 255)
CAFFE_SCALE = (1 / 255, 1 / 255, 1 / 255)

#: torchvision's models were trained on RGB images, less this mean, divided by this deviation.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_SCALE = (0.229, 0.224, 0.225)
