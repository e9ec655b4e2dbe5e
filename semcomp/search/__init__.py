"""Search in folders of photos: by a similar photo, by a label, and for near-duplicates.

from semcomp.search.photo_index import PhotoIndex

index = PhotoIndex("photos.index")
index.update("photos/")                                  # what is new or has changed
index.search(like="dog.jpg", label="dog", top=5)         # the most similar photos that are labelled so
index.duplicates()                                       # groups of near-duplicates
"""
