"""Compares codecs on a folder of pictures, by real files. `semcomp eval` runs these modules.

classical · peers · codecs   codecs behind one small interface, and their names
measure · run                points of one picture, and of many pictures in processes that can be resumed
curves · summary             means, BD-rates, thresholds
worst · plot · page          the report
compare                      one picture by several codecs at equal bytes
"""
