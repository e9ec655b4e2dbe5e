"""Recognition heads: small networks that read a codec's latents, and the program that trains them.

classifier.py and segmenter.py hold the networks, head_file.py the file of a trained head, fit.py the training program.
"""
