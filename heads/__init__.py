"""Recognition heads that read latents instead of pixels.

Heads import `semcomp`, never the reverse: `semcomp` finds them through the entry-point group "semcomp.heads",
so a head that somebody else publishes is an equal citizen.
"""
