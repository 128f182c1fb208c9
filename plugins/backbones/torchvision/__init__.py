"""Classification models of torchvision as backbones."""
