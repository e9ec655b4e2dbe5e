"""Latents, labels and label maps of `.semc` files for PyTorch's DataLoader. No pixel is decoded.

from torch.utils.data import DataLoader
from semcomp.data import SemcDataset, SemcStream, collate

files = SemcDataset("photos/", fields=("latents", "label_map"))              # map-style
stream = SemcStream("s3://bucket/train-*.tar", shuffle=1000)                 # iterable, over shards
loader = DataLoader(files, batch_size=16, shuffle=True, num_workers=4, collate_fn=collate)
"""

from semcomp.data.collate import collate as collate
from semcomp.data.files import SemcDataset as SemcDataset
from semcomp.data.sample import FIELDS as FIELDS
from semcomp.data.sample import Sample as Sample
from semcomp.data.stream import SemcStream as SemcStream
