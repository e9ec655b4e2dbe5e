"""Encoding and decoding, written once for every backend. No torch is needed.

base_codec       pictures to files, for any backend; base_decoder: files to pictures
latent_coder     latents to symbols to bytes · checks: checksums of the symbols · rdo: the encoder's choice of symbols
rate_control     the quality that meets a target · loss_check: pictures that the codec cannot do
completion       which generator completes a file, and what guides it · tiles: how a large picture is cut
"""
