"""Networks that see pixels and teach the heads: trained on true outlines, larger than a head, never shipped."""
