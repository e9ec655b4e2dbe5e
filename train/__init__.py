"""Training programs, run from a checkout: python -m train.codec configs/codec_base.yaml"""

from semcomp.torchvision_compat import declare_missing_operators

declare_missing_operators()
