"""Recognition heads: small networks that read a codec's latents, and the program that trains them.

classify.py and segment.py hold the networks, file.py the file of a trained head, fit.py the training program.
"""
