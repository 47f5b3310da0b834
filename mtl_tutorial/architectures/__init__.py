"""Networks that answer several tasks."""

from mtl_tutorial.architectures.cross_stitch import CrossStitch, CrossStitchUnit
from mtl_tutorial.architectures.encoders import ClassicEncoder, ConvEncoder
from mtl_tutorial.architectures.hard_sharing import HardSharing

__all__ = ["ClassicEncoder", "ConvEncoder", "CrossStitch", "CrossStitchUnit", "HardSharing"]
