"""Files wherever they are: local paths, URLs of fsspec, members of archives, and WebDataset shards."""
