"""Blocks about thumbnails and restored files."""

from benchmarks.tables.markdown import Block, Record, fixed, plural, signed, table

PEERS = {"jpeg": "JPEG", "webp": "WebP", "jpegxl": "JPEG XL"}
TINY = {"thumbhash": "ThumbHash", "blurhash": "BlurHash"}


def thumbs(record: Record) -> str:
    """Short codes beside photo codecs, by bytes."""
    ours, peers = record["ours"]["rows"], record["peers"]
    shown = [name for name in PEERS if name in peers]
    rows = []
    for size, row in ours.items():
        cells = [row, *(peers[name].get(size) for name in shown)]
        rows.append([size, *(f"{fixed(c['ssim'], 3)}, {fixed(c['psnr_db'], 1)} dB" if c else "" for c in cells)])
    head = f"{plural(record['thumbnails'], 'thumbnail')}:\n\n"
    return head + table(["bytes", "semcomp thumb", *(PEERS[name] for name in shown)], rows)


def tiny(record: Record) -> str:
    """Codes that were made for blur-ups, beside ours of no more bytes."""
    ours = {int(size): row for size, row in record["ours"]["rows"].items()}
    rows = []
    for name, label in TINY.items():
        for row in record["peers"].get(name, {}).values():
            size = max(size for size in ours if size <= row["bytes"])
            pair = [f"{fixed(one['ssim'], 3)}, {fixed(one['psnr_db'], 1)} dB" for one in (row, ours[size])]
            rows.append([label, f"{row['bytes']:.0f}", pair[0], str(size), pair[1]])
    return table(["", "bytes", "SSIM, PSNR", "semcomp thumb, bytes", "SSIM, PSNR"], rows)


def cut(record: Record) -> str:
    """First bytes of long codes."""
    found = record["ours"]["cut"]
    times = record["ours"]["times"]
    rows = [[size, f"{fixed(row['ssim'], 3)}, {fixed(row['psnr_db'], 1)} dB"] for size, row in found.items()]
    slow = ", ".join(
        f"{row['encode_ms']:.1f} / {row['decode_ms']:.1f} ms ({size} bytes)" for size, row in times.items()
    )
    return f"{table(['first bytes of a long code', 'SSIM, PSNR'], rows)}\n\nEncoding / decoding takes {slow}."


def restored(record: Record) -> str:
    """Gains over a plain decoder."""
    rows = []
    for name, row in record["decoded"].items():
        deblocked = signed(row["deblocked_psnr"] - row["jpeg_psnr"], 2) if "deblocked_psnr" in row else ""
        gain = signed(row["restored_psnr"] - row["jpeg_psnr"], 2)
        ssim = signed(row["restored_ssim"] - row["jpeg_ssim"], 3)
        rows.append([name, fixed(row["jpeg_psnr"], 2), deblocked, gain, fixed(row["jpeg_ssim"], 3), ssim])
    header = ["file", "plain decoder, dB", "deblocked", "restored", "SSIM", "restored"]
    return f"{plural(record['photos'], 'photo')}; means:\n\n{table(header, rows)}"


def compact(record: Record) -> str:
    """Files made for the restorer."""
    if not record["compact"]:
        return "Files that were made for the restorer (`encode --as jpeg`) were not measured in this run."
    rows = []
    for rate, row in record["compact"].items():
        rivals = [key.removesuffix("_saved") for key in row if key.endswith("_saved")]
        saved = ", ".join(f"{signed(row[f'{name}_saved'])} % ({name})" for name in rivals)
        rows.append([rate, str(row["photos"]), fixed(row["psnr"], 2), fixed(row["plain_psnr"], 2), saved])
    return table(["bpp", "photos", "restored, dB", "plain viewer, dB", "bytes saved at equal PSNR"], rows)


BLOCKS: dict[str, Block] = {
    "thumbs.table": thumbs,
    "thumbs.tiny": tiny,
    "thumbs.cut": cut,
    "restore.table": restored,
    "restore_bsds.table": restored,
    "restore.compact": compact,
}
