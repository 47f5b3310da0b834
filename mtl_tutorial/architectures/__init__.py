"""Networks that answer several tasks."""

from mtl_tutorial.architectures.attention import MTAN
from mtl_tutorial.architectures.encoders import ClassicEncoder, ConvEncoder, VGGEncoder
from mtl_tutorial.architectures.hard_sharing import HardSharing

__all__ = ["MTAN", "ClassicEncoder", "ConvEncoder", "HardSharing", "VGGEncoder"]
