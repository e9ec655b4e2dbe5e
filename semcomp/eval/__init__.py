"""Measurements on a folder of pictures: codecs beside each other, from real files. `semcomp eval` runs them.

classical · semcomp_codec · peers   what encodes and decodes, one small interface
codecs                              their names
measure · run                       points of one picture; of many, in processes, resumed
curves · summary                    means, BD-rates, thresholds
worst · plot · page                 what is shown of it
"""
