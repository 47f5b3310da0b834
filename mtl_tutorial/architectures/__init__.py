"""Networks that answer several tasks."""

from mtl_tutorial.architectures.alignment import (
    PAIRS,
    ContrastiveAlignment,
    contrastive_loss,
    recall_at_1,
)
from mtl_tutorial.architectures.attention import MTAN
from mtl_tutorial.architectures.cross_stitch import CrossStitch, CrossStitchUnit
from mtl_tutorial.architectures.encoders import (
    ClassicEncoder,
    ConvEncoder,
    LeNet,
    VGGEncoder,
)
from mtl_tutorial.architectures.experts import Experts, experts_used, importance_loss
from mtl_tutorial.architectures.fusion import (
    Concatenation,
    ContrastiveFusion,
    CrossAttention,
    CrossModalAttention,
    FusionNetwork,
    share_stem,
)
from mtl_tutorial.architectures.hard_sharing import HardSharing
from mtl_tutorial.architectures.single_task import SingleTaskNetworks
from mtl_tutorial.architectures.transformer import AskedNetwork, HeadAQuestion

__all__ = [
    "MTAN",
    "PAIRS",
    "AskedNetwork",
    "ClassicEncoder",
    "Concatenation",
    "ContrastiveAlignment",
    "ContrastiveFusion",
    "ConvEncoder",
    "CrossAttention",
    "CrossModalAttention",
    "CrossStitch",
    "CrossStitchUnit",
    "Experts",
    "FusionNetwork",
    "HardSharing",
    "HeadAQuestion",
    "LeNet",
    "SingleTaskNetworks",
    "VGGEncoder",
    "contrastive_loss",
    "experts_used",
    "importance_loss",
    "recall_at_1",
    "share_stem",
]
